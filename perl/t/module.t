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

# -- what a monitor sees of a pass: outputs, gradients of all inputs, arguments
{
    my $net = mx->sym->Variable('data');
    for my $i (0, 1) {
        $net = mx->sym->FullyConnected($net, name => "fc_$i", num_hidden => 2);
        $net = mx->sym->Activation($net, act_type => 'sigmoid', name => "act_$i");
    }
    my $module = mx->mod->Module(symbol => mx->sym->LinearRegressionOutput($net, name => 'softmax', grad_scale => 2));
    $module->bind(data_shapes => [['data', [1, 2]]], label_shapes => [['softmax_label', [1, 2]]]);
    $module->init_params;
    my $monitor = mx->mon->Monitor(1, stat_func => sub { AI::MXNet::NDArray->mean($_[0]) }, pattern => '.*');
    $module->install_monitor($monitor);
    $monitor->tic;
    $module->forward_backward(
        mx->io->DataBatch(data => [nd->array([[0.05, 0.1]])], label => [nd->array([[0.01, 0.99]])]));
    my @seen = map { $_->[1] } @{ $monitor->toc };
    my %count;

    for my $name (qw(act_0 act_1 data fc_0 fc_1 softmax)) {
        $count{$name} = grep { /^$name/ } @seen;
    }
    is_deeply(
        \%count,
        { act_0 => 2, act_1 => 2, data => 1, fc_0 => 6, fc_1 => 6, softmax => 4 },
        'a monitor sees all of a pass'
    );
    is(@seen, 21, 'and each once');
}

# -- sparse data and weights learn what dense ones do, with a store and without, on one context and two
{
    my ($rows, $columns) = (12, 20);
    srand 4;
    my (@data, @columns, @begin, @labels);
    for my $row (0 .. $rows - 1) {
        push @begin, scalar @columns;
        my %columns = map { (int rand $columns) => 1 } 1 .. 4;
        push @columns, sort { $a <=> $b } keys %columns;
        push @data, map { rand } keys %columns;
        push @labels, $row % 2;
    }
    my $sparse = nd->sparse->csr_matrix([\@data, \@columns, [@begin, scalar @columns]], shape => [$rows, $columns]);
    my $start = { weight => nd->ones([$columns, 2]) * 0.1, bias => nd->zeros([2]) };
    my $learn = sub {
        my ($is_sparse, %option) = @_;
        my $weight = mx->sym->Variable('weight', shape => [$columns, 2], $is_sparse ? (stype => 'row_sparse') : ());
        my $dot = mx->sym->dot(mx->sym->Variable('data', $is_sparse ? (stype => 'csr') : ()), $weight);
        my $net = mx->sym->SoftmaxOutput(mx->sym->broadcast_add($dot, mx->sym->Variable('bias', shape => [2])),
            name => 'softmax');
        my $iter = mx->io->NDArrayIter(
            $is_sparse ? $sparse : $sparse->tostype('default'), nd->array(\@labels),
            batch_size => 4,
            last_batch_handle => 'discard'
        );
        my $module = mx->mod->Module($net, context => $option{context} // mx->cpu);
        $module->bind(data_shapes => $iter->provide_data, label_shapes => $iter->provide_label);
        $module->init_params(arg_params => $start);
        $module->init_optimizer(kvstore => $option{kvstore} // 'local', optimizer_params => { learning_rate => 1 });

        for (1 .. 3) {
            $iter->reset;
            while (defined(my $batch = <$iter>)) {
                $module->forward_backward($batch);
                $module->update;
            }
        }
        return ($module->get_params)[0]{weight}->tostype('default');
    };
    my $dense = $learn->(0);
    cmp_ok(($dense - 0.1)->norm->asscalar, '>', 0.5, 'dense weights learn');
    is_close($learn->(1), $dense, 'sparse ones the same', 1e-5);
    is_close($learn->(1, kvstore => mx->kv->create('local')), $dense, 'with a store', 1e-5);
    is_close($learn->(1, context => [mx->cpu(0), mx->cpu(1)]), $dense, 'on two contexts', 1e-5);
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
