use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);

needs_operators(qw(FullyConnected elemwise_mul Dropout));

my ($x, $w) = map { mx->sym->Variable($_) } qw(x w);

# -- outputs are the same arrays before and after; arguments are read where they are
{
    my $exec = ($x * $w)->simple_bind(ctx => mx->cpu, shapes => { x => [3] });
    my $out = $exec->outputs->[0];
    $exec->arg_dict->{w} .= 2;
    $exec->forward(1, x => [1, 2, 3]);
    is_close($out, [2, 4, 6], 'an output that was fetched before');
    $exec->backward(mx->nd->array([1, 0, 2]));
    is_close($exec->grad_dict->{w}, [1, 0, 6], 'a gradient');
    $exec->backward;
    is_close($exec->grad_dict->{w}, [1, 2, 3], 'another backward of the same pass; ones by default');
    $exec->forward(0, x => [5, 5, 5]);
    $exec->backward;
    is_close($exec->grad_dict->{w}, [5, 5, 5], 'backward after a pass that was not made for training');
    dies_with(sub { $exec->backward([mx->nd->ones([2])]) }, qr/does not fit its head/, 'a gradient of another shape');
    dies_with(
        sub { $exec->backward([mx->nd->ones([3]), mx->nd->ones([3])]) },
        qr/for each output, got 2, want 1/,
        'too many'
    );
}

# -- a gradient that nothing reaches is zero; an output that is an argument is that array
{
    my $group = mx->sym->Group([mx->sym->BlockGrad($x), $w]);
    my $exec = $group->simple_bind(ctx => mx->cpu, shapes => { x => [2], w => [2] });
    $_ .= 7 for grep { defined } @{ $exec->grad_arrays };
    $exec->arg_dict->{w} .= 3;
    $exec->forward(1);
    is_close($exec->outputs->[1], [3, 3], 'an argument as an output');
    $exec->backward;
    is_close($exec->grad_dict->{x}, [0, 0], 'a blocked gradient');
    is_close($exec->grad_dict->{w}, [1, 1], 'that of an output itself');
}

# -- recording around an executor does not see it
{
    my $a = mx->nd->array([1, 2]);
    $a->attach_grad;
    my $exec = ($x * $x)->bind(ctx => mx->cpu, args => [$a], args_grad => [mx->nd->zeros([2])]);
    my $y;
    mx->autograd->record(sub { $exec->forward(1); $y = $a * 3 });
    $y->backward;
    is_close($a->grad, [3, 3], 'the history of the caller is its own');
    $exec->backward;
    is_close($exec->grad_arrays->[0], [2, 4], 'and so is the executor\'s');
}

# -- monitors
{
    my $exec = mx->sym->tanh($x * $w, name => 't')->simple_bind(ctx => mx->cpu, shapes => { x => [2] });
    my @seen;
    $exec->set_monitor_callback(sub { push @seen, "$_[0] " . join 'x', @{ $_[1]->shape } });
    $exec->forward(1);
    $exec->backward;
    like("@seen", qr/^_mul\d+_output 2 t_output 2 t_backward_data 2 _mul\d+_backward_lhs 2 _mul\d+_backward_rhs 2$/,
        'all is seen');
    $exec->set_monitor_callback(sub { die "enough\n" });
    ok(!eval { $exec->forward(1); 1 }, 'a monitor may die');
    is($@, "enough\n", 'and its error comes through');
    $exec->set_monitor_callback(sub { $exec->forward(1) });
    dies_with(sub { $exec->forward(1) }, qr/running already/, 'a monitor that runs its own executor');
    $exec->set_monitor_callback(undef);
    ok(eval { $exec->forward(1); 1 }, 'and may be taken away');
}

# -- an executor outlives the arrays and the symbol it was made of
{
    my $exec;
    {
        my $s = mx->sym->Variable('v') * 2;
        $exec = $s->bind(ctx => mx->cpu, args => [mx->nd->ones([1000])]);
    }
    mx->nd->zeros([1000]) for 1 .. 10;
    is($exec->forward->[0]->sum->asscalar, 2000, 'what it needs it keeps');
}

# -- passes after the first run a compiled graph: they see every change of arguments, parameters and states
{
    my $s =
        mx->sym->Convolution(mx->sym->Variable('data'), kernel => [3, 3], num_filter => 40, no_bias => 1, name => 'c');
    $s = mx->sym->Activation(mx->sym->BatchNorm($s, fix_gamma => 0, name => 'n'), act_type => 'relu');
    $s = mx->sym->FullyConnected($s, num_hidden => 5, name => 'f');
    my $exec = $s->simple_bind(ctx => mx->cpu, shapes => { data => [2, 30, 9, 9] });
    my %of = (%{ $exec->arg_dict }, %{ $exec->aux_dict });
    my $draw = sub { my $name = shift; $of{$name} .= mx->nd->random->uniform(0.1, 1, $of{$name}->shape) };
    my $output = $exec->outputs->[0];
    my $check = sub {
        my $what = shift;
        my $fresh = $s->bind(ctx => mx->cpu, args => $exec->arg_arrays, aux_states => $exec->aux_arrays);
        my $want = $fresh->forward(0)->[0];
        $exec->forward(0);
        is_close($output, $want, $what, 1e-5);
    };
    $draw->($_) for sort keys %of;
    $check->('the first pass');
    $check->('the second one');
    for my $name (sort keys %of) {
        $draw->($name);
        $check->("$name has changed");
    }
    my $data = $of{data}->copy;
    $exec->forward(1);
    $exec->backward;
    ok($exec->grad_dict->{c_weight}->norm->asscalar > 0, 'a pass for training between');
    $check->('its states are seen');
    my @seen;
    $exec->set_monitor_callback(sub { push @seen, shift });
    $check->('with a monitor');
    is_deeply(\@seen, [qw(c_output n_output activation0_output f_output)], 'which sees all calls');
    my $small = $exec->reshape({ data => [1, 30, 9, 9] });
    $small->forward(0, data => $data->slice([0, 0])) for 1 .. 3;
    is_close($small->outputs->[0], $output->slice([0, 0]), 'of another size', 1e-5);
}

# -- cached operators
{
    my $op = AI::MXNet::CachedOp->new(mx->sym->Dropout($x, p => 0.5) * mx->sym->zeros(shape => [0]) + $w);
    my $value = mx->nd->ones([4]);
    is_close($op->($value, $value), [1, 1, 1, 1], 'an open shape is filled in');
    is_close($op->(mx->nd->ones([2]), mx->nd->ones([2])), [1, 1], 'for each call');
    my $drop = AI::MXNet::CachedOp->new(mx->sym->Dropout($x, p => 0.5));
    is_close($drop->($value), [1, 1, 1, 1], 'the mode is that of the caller');
    my $trained;
    mx->autograd->record(sub { $trained = $drop->(mx->nd->ones([1000])) });
    ok((grep { $_ == 0 } $trained->aspdl->list), 'also while training');
}

done_testing;
