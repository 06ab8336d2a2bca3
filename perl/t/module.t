use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);
use AI::MXNet::TestUtils qw(same_array conv);

needs_operators(qw(FullyConnected SoftmaxOutput Convolution BatchNorm Pooling));

# -- a batch axis that is not the first is what is cut, and what is put together again
{
    my $act = mx->sym->Activation(data => mx->sym->Variable('data'), act_type => 'relu', __layout__ => 'TNC');
    my $module = mx->mod->Module($act, label_names => undef, context => [mx->cpu(0), mx->cpu(1)]);
    $module->bind(data_shapes => [mx->io->DataDesc('data', [3, 8, 7], layout => 'TNC')]);
    $module->init_params;
    $module->forward(mx->io->DataBatch(data => [mx->nd->ones([3, 8, 7])]));
    $module->backward([mx->nd->ones([3, 8, 7])]);
    is_deeply([map { $_->shape } @{ $module->get_outputs(0)->[0] }], [[3, 4, 7], [3, 4, 7]], 'halves of the axis N');
    is_deeply($module->get_outputs->[0]->shape, [3, 8, 7], 'and the whole');
}

# -- groups of executors share parameters, gradients and the memory of their inputs, and nothing else is pooled
{
    my $net = mx->sym->SoftmaxOutput(mx->sym->FullyConnected(mx->sym->Variable('data'), num_hidden => 4, name => 'fc'),
        name => 'softmax');
    my $group = sub {
        my ($batch, @more) = @_;
        return AI::MXNet::DataParallelExecutorGroup->new(
            symbol => $net,
            contexts => [mx->cpu(0), mx->cpu(1)],
            data_shapes => [mx->io->DataDesc('data', [$batch, 6])],
            label_shapes => [mx->io->DataDesc('softmax_label', [$batch])],
            param_names => ['fc_weight', 'fc_bias'],
            for_training => 1,
            @more
        );
    };
    my $one = $group->(8);
    my $two = $group->(4, shared_group => $one);
    for my $i (0, 1) {
        my ($e, $f) = map { $_->execs->[$i] } $one, $two;
        ok(same_array($e->arg_dict->{$_}, $f->arg_dict->{$_}), "$_ is shared on context $i") for qw(fc_weight fc_bias);
        ok(same_array($e->grad_dict->{$_}, $f->grad_dict->{$_}), "so is its gradient") for qw(fc_weight fc_bias);
        is_deeply([sort keys %{ $one->shared_data_arrays->[$i] }], ['data', 'softmax_label'], 'inputs are pooled');
    }
    ok(!eval { $group->(1); 1 } && $@ =~ /Too many slices/, 'a batch smaller than the contexts');
}

# -- a network with convolutions learns, and a monitor sees it
{
    my $module = mx->mod->Module(conv(), label_names => ['sm_label']);
    $module->bind(data_shapes => [['data', [4, 1, 28, 28]]], label_shapes => [['sm_label', [4]]]);
    mx->random->seed(7);
    $module->init_params(initializer => mx->init->Xavier);
    $module->init_optimizer(optimizer_params => { learning_rate => 0.1 });
    my $batch = mx->io->DataBatch(
        data => [mx->nd->random->uniform(shape => [4, 1, 28, 28])],
        label => [mx->nd->array([1, 2, 3, 4])]
    );
    my $seen = 0;
    $module->install_monitor(my $monitor = mx->mon->Monitor(1, stat_func => sub { $_[0]->sum }));
    $monitor->tic;
    $module->forward_backward($batch);
    my %names = map { $_->[1] => 1 } @{ $monitor->toc };
    ok($names{sm_output} && $names{sm_backward_data}, 'outputs and gradients are seen');
    my ($first, $last);

    for my $step (1 .. 8) {
        $module->forward_backward($batch);
        $last = -mx->nd->pick($module->get_outputs->[0], $batch->label->[0])->log->mean->asscalar;
        $first //= $last;
        $module->update;
    }
    cmp_ok($last, '<', $first / 2, 'the loss goes down');
}

# -- executors for contexts, with shapes as pairs
{
    my $net = mx->sym->SoftmaxOutput(mx->sym->FullyConnected(mx->sym->Variable('data'), num_hidden => 2, name => 'fc'),
        name => 'softmax');
    my @common = (
        symbol => $net,
        contexts => [mx->cpu],
        workload => [1],
        param_names => [qw(fc_weight fc_bias)],
        for_training => 1
    );
    my ($first, $second);
    for my $rows (4, 2) {
        $second = AI::MXNet::DataParallelExecutorGroup->new(
            @common,
            data_shapes => [['data', [$rows, 3]]],
            label_shapes => [['softmax_label', [$rows]]],
            shared_group => $first,
        );
        $first //= $second;
    }
    my @weights = map { $_->execs->[0]->arg_dict->{fc_weight} } $first, $second;
    $weights[0] .= 5;
    is_close($weights[1], [(5) x 6], 'groups share parameters');
}

# -- what is refused is refused before anything has changed
{
    my $module = mx->mod->Module(mx->sym->FullyConnected(mx->sym->Variable('data'), num_hidden => 2, name => 'fc'),
        label_names => undef);
    dies_with(sub { $module->forward(mx->io->DataBatch(data => [])) }, qr/call bind before/, 'forward before bind');
    $module->bind(data_shapes => [['data', [1, 3]]]);
    dies_with(sub { $module->update }, qr/call init_params before/, 'update before init_params');
    $module->init_params;
    dies_with(sub { $module->update }, qr/call init_optimizer before/, 'update before init_optimizer');
    dies_with(
        sub { $module->init_optimizer(colour => 'red') },
        qr/no such named argument 'colour'/,
        'an unknown argument'
    );
}

done_testing;
