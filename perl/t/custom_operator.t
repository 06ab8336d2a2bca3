use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);

needs_operators(qw(Custom softmax));

# Operators written in Perl: a loss, one with keywords and two outputs, and some that go wrong.
my ($made, $gone, %seen) = (0, 0);
{

    package SoftmaxLoss;
    use parent -norequire, 'AI::MXNet::CustomOp';

    sub forward
    {
        my ($self, $is_train, $req, $in, $out, $aux) = @_;
        %seen = (
            %seen,
            train => $is_train,
            req => "@$req",
            recording => AI::MXNet::AutoGrad->is_recording,
            aux => scalar @$aux
        );
        $self->assign($out->[0], $req->[0], $in->[0]->softmax);
        return;
    }

    sub backward
    {
        my ($self, $req, $grads, $in, $out, $to) = @_;
        %seen = (%seen, back => "@$req", grads => scalar @$grads);
        my $hot = AI::MXNet::NDArray->one_hot($in->[1], { depth => $out->[0]->shape->[1] });
        $self->assign($to->[0], $req->[0], $out->[0] - $hot);
        return;
    }

    package SoftmaxLossProp;
    use parent -norequire, 'AI::MXNet::CustomOpProp';
    sub new { my $class = shift; return $class->SUPER::new(@_, need_top_grad => 0) }
    sub list_arguments { return ['data', 'label'] }

    sub infer_shape
    {
        my ($self, $in) = @_;
        return ([$in->[0], [$in->[0][0]]], [$in->[0]], []);
    }

    sub create_operator
    {
        my ($self, $ctx, $shapes, $dtypes) = @_;
        $made++;
        $seen{ $_->[0] } = $_->[1] for [ctx => "$ctx"], [shapes => $shapes], [dtypes => $dtypes];
        return SoftmaxLoss->new;
    }

    package Parts;
    use parent -norequire, 'AI::MXNet::CustomOp';

    sub forward
    {
        my ($self, $is_train, $req, $in, $out) = @_;
        $self->{mask} = $in->[0] > 0;
        $self->assign($out->[0], $req->[0], $in->[0] * $self->{by});
        $self->assign($out->[1], $req->[1], $in->[0] * $self->{mask});
        return;
    }

    sub backward
    {
        my ($self, $req, $grads, $in, $out, $to) = @_;
        $self->assign($to->[0], 'write', $grads->[0] * $self->{by});
        $self->assign($to->[0], 'add', $grads->[1] * $self->{mask});
        return;
    }
    sub DESTROY { $gone++; return }

    package PartsProp;
    use parent -norequire, 'AI::MXNet::CustomOpProp';
    sub list_outputs { return ['scaled', 'positive'] }
    sub create_operator { return Parts->new(by => $_[0]{by} // 2) }

    # What lies above the mean of all means so far, which training moves.
    package Above;
    use parent -norequire, 'AI::MXNet::CustomOp';

    sub forward
    {
        my ($self, $is_train, $req, $in, $out, $aux) = @_;
        if ($is_train) {
            $aux->[1] += 1;
            $aux->[0] += ($in->[0]->mean - $aux->[0]) / $aux->[1];
        }
        $self->assign($out->[0], $req->[0], ($in->[0] - $aux->[0]) * $in->[1]);
        return;
    }

    sub backward
    {
        my ($self, $req, $grads, $in, $out, $to, $aux) = @_;
        $self->assign($to->[0], $req->[0], $grads->[0] * $in->[1]);
        $self->assign($to->[1], $req->[1], ($grads->[0] * ($in->[0] - $aux->[0]))->sum);
        return;
    }

    package AboveProp;
    use parent -norequire, 'AI::MXNet::CustomOpProp';
    sub list_arguments { return ['data', 'gain'] }
    sub list_auxiliary_states { return ['mean', 'count'] }
    sub infer_shape { return ([$_[1][0], [1]], [$_[1][0]], [[1], [1]]) }
    sub create_operator { return Above->new }

    package Wrong;
    use parent -norequire, 'AI::MXNet::CustomOp';
    sub forward { die "boom\n" if ($_[0]{fail} // '') eq 'forward'; return }
    sub backward { die "bang\n" }

    package WrongProp;
    use parent -norequire, 'AI::MXNet::CustomOpProp';
    sub list_auxiliary_states { return $_[0]{states} ? ['count'] : [] }

    sub infer_shape
    {
        my ($self, $in) = @_;
        return ($in, [], []) if ($self->{fail} // '') eq 'count';
        return ([[9, 9]], [[1]], []) if ($self->{fail} // '') eq 'shape';
        return $self->SUPER::infer_shape($in);
    }
    sub create_operator { return ($_[0]{fail} // '') eq 'object' ? 'nothing' : Wrong->new(fail => $_[0]{fail}) }
}

my $operator = mx->operator;
$operator->register(softmax_loss => 'SoftmaxLossProp');
$operator->register(parts => 'PartsProp');
$operator->register(above => 'AboveProp');
$operator->register('wrong')->('WrongProp');

sub dies_like
{
    my ($code, $want, $name) = @_;
    my $lived = eval { $code->(); 1 };
    return like($lived ? 'it lived' : $@, $want, $name);
}

subtest 'a loss, at once' => sub {
    my $x = nd->array([[1, 2, 3], [3, 2, 1]]);
    my $label = nd->array([2, 0]);
    $x->attach_grad;
    for my $way (
        ['by position', sub { nd->Custom($x, $label, op_type => 'softmax_loss') }],
        ['by name', sub { nd->Custom(label => $label, op_type => 'softmax_loss', data => $x) }],
        ['in a hash', sub { nd->Custom($x, { label => $label, op_type => 'softmax_loss' }) }],
        ['as a method', sub { $x->Custom($x, $label, op_type => 'softmax_loss', name => 'n') }],
        )
    {
        my ($name, $call) = @$way;
        my $y;
        AI::MXNet::AutoGrad->record(sub { $y = $call->() });
        $y->backward;
        my $want = $x->softmax - nd->one_hot($label, { depth => 3 });
        ok(is_close($y, $x->softmax) && is_close($x->grad, $want), $name);
    }
    is_deeply(
        \%seen,
        {
            train => 1,
            req => 'write',
            recording => 0,
            aux => 0,
            back => 'write null',
            grads => 0,
            ctx => 'cpu(0)',
            shapes => [[2, 3], [2]],
            dtypes => ['float32', 'float32']
        },
        'what the methods are told'
    ) or diag explain \%seen;
};

subtest 'keywords, fields and several outputs' => sub {
    my $x = nd->array([-1, 2]);
    $x->attach_grad;
    ($made, $gone) = (0, 0);
    {
        my ($first, $second);
        AI::MXNet::AutoGrad->record(
            sub {
                $first = nd->Custom($x, op_type => 'parts', by => 3);
                $second = nd->Custom(-$x, op_type => 'parts');
            }
        );
        is_deeply([map { [$_->aspdl->list] } @$first], [[-3, 6], [0, 2]], 'two results');
        mx->autograd->backward([@$first, $second->[1]]);
        is_deeply([$x->grad->aspdl->list], [3 - 1, 4], 'each call has its own object');
        nd->Custom($x, op_type => 'parts') for 1 .. 3;
    }
    is($gone, 5, 'which goes with the call');
    my $kept = nd->Custom($x, op_type => 'parts', by => 5, out => [nd->zeros([2]), nd->zeros([2])]);
    is_deeply([$kept->[0]->aspdl->list], [-5, 10], 'into arrays');
};

subtest 'in symbols' => sub {
    my $s = mx->sym->Custom(data => mx->sym->Variable('data'), name => 'softmax', op_type => 'softmax_loss');
    is_deeply($s->list_arguments, ['data', 'softmax_label'], 'a variable for the missing input');
    is_deeply($s->list_outputs, ['softmax_output'], 'outputs');
    my ($args, $outs) = $s->infer_shape(data => [4, 3]);
    is_deeply([$args, $outs], [[[4, 3], [4]], [[4, 3]]], 'shapes');
    my ($types) = $s->infer_type(data => 'float64');
    is_deeply($types, ['float64', 'float64'], 'dtypes');
    my $again = mx->sym->load_json($s->tojson);
    is($again->tojson, $s->tojson, 'as a file');
    like($s->tojson, qr/"op_type": "softmax_loss"/, 'with its keywords');
    $made = 0;
    my $e = $again->simple_bind(ctx => mx->cpu, shapes => { data => [2, 3] });

    for (1 .. 3) {
        $e->forward(1);
        $e->backward;
    }
    is($made, 1, 'a bound graph has one object');
    ok(is_close($e->grad_dict->{data}, nd->softmax(nd->zeros([2, 3])) - nd->array([[1, 0, 0], [1, 0, 0]])), 'gradient');
    my $parts = mx->sym->Custom(mx->sym->Variable('x'), op_type => 'parts', by => 4, name => 'p');
    is_deeply($parts->list_outputs, ['p_scaled', 'p_positive'], 'names of several outputs');
    my ($y) = @{ ($parts->[0] + $parts->[1])->eval(args => { x => nd->array([-1, 1]) }) };
    is_deeply([$y->aspdl->list], [-4, 5], 'both are used');
};

subtest 'in a module' => sub {
    mx->random->seed(1);
    my $x = mx->nd->random->normal(0, 1, shape => [200, 5]);
    my $label = $x->slice_axis(axis => 1, begin => 0, end => 2)->argmax(axis => 1);
    my $iter = mx->io->NDArrayIter(data => $x, label => $label, batch_size => 20, label_name => 'softmax_label');
    my $fc = mx->sym->FullyConnected(mx->sym->Variable('data'), num_hidden => 2, name => 'fc');
    my $net = mx->sym->Custom(data => $fc, name => 'softmax', op_type => 'softmax_loss');
    my $module = mx->mod->Module($net);
    $module->fit($iter, num_epoch => 10, optimizer_params => { learning_rate => 0.5 }, eval_metric => 'acc');
    my $score = ($module->predict($iter)->argmax({ axis => 1 }) == $label)->mean->asscalar;
    cmp_ok($score, '>', 0.95, 'it learns');
};

subtest 'in a hybridized block' => sub {
    {

        package Net;
        use AI::MXNet::Gluon::Mouse;
        use AI::MXNet::Function::Parameters;
        extends 'AI::MXNet::Gluon::HybridBlock';

        sub hybrid_forward
        {
            my ($self, $F, $x) = @_;
            my $y = $F->Custom($F->relu($x * 2), op_type => 'parts', by => 3, name => 'own');
            return $y->[0] + $y->[1] * 2;
        }
    }
    my @found;
    for my $hybrid (0, 1) {
        my $net = Net->new;
        $net->hybridize if $hybrid;
        for my $round (1, 2) {
            my $x = nd->array([[-1, 2, $round]]);
            $x->attach_grad;
            my $y;
            AI::MXNet::AutoGrad->record(sub { $y = $net->($x) });
            $y->backward;
            push @{ $found[$hybrid] }, [$y->aspdl->list], [$x->grad->aspdl->list], [$net->($x)->aspdl->list];
        }
    }
    is_deeply($found[1], $found[0], 'the same as call by call');
};

subtest 'what goes wrong' => sub {
    my $x = nd->array([1, 2]);
    $x->attach_grad;
    my $here = qr/ at \S*custom_operator\.t line \d+/;
    dies_like(
        sub { nd->Custom($x, op_type => 'nope') },
        qr/^Custom: no operator is registered as 'nope'; registered: .*parts.*$here/,
        'no such name'
    );
    dies_like(sub { nd->Custom($x) }, qr/Custom: Required parameter op_type is missing$here/, 'no name');
    dies_like(
        sub { nd->Custom($x, op_type => 'softmax_loss') },
        qr/Custom: .*expects 2 inputs, but got 1, want data, label/,
        'an input is missing'
    );
    dies_like(
        sub { nd->Custom($x, op_type => 'wrong', fail => 'forward') },
        qr/^Custom: wrong: boom$here/,
        'forward dies'
    );
    dies_like(
        sub { nd->Custom($x, op_type => 'wrong', fail => 'count') },
        qr/^Custom: wrong: infer_shape must return one for each output, got 0, want 1/,
        'a wrong count'
    );
    dies_like(
        sub { nd->Custom($x, op_type => 'wrong', fail => 'shape') },
        qr/^Custom: wrong: infer_shape says \(9,9\) of operand 0, which is \(2,\)/,
        'a wrong shape'
    );
    dies_like(
        sub { nd->Custom($x, op_type => 'wrong', fail => 'object') },
        qr/^Custom: wrong: create_operator made nothing/,
        'no object'
    );
    dies_like(
        sub { nd->Custom($x, $x, op_type => 'wrong', states => 1) },
        qr/^Custom: wrong: infer_shape must return one for each auxiliary state, got 0, want 1/,
        'no shape of a state'
    );
    my $y;
    AI::MXNet::AutoGrad->record(sub { $y = nd->Custom($x, op_type => 'wrong') });
    is_deeply([$y->aspdl->list], [0, 0], 'what is not written is 0');
    dies_like(sub { $y->backward }, qr/wrong: bang$here/, 'backward dies');
    dies_like(
        sub { $operator->register('name', 'Nowhere') },
        qr/want a subclass of AI::MXNet::CustomOpProp$here/,
        'no class'
    );
    dies_like(
        sub { mx->sym->Custom(mx->sym->Variable('x'), op_type => 'nope') },
        qr/no operator is registered as 'nope'/,
        'in a symbol'
    );
    my $slope;
    AI::MXNet::AutoGrad->record(
        sub {
            ($y) = @{ nd->Custom($x * $x, op_type => 'parts') };
            ($slope) = @{ AI::MXNet::AutoGrad->grad($y * $y, $x, create_graph => 1) };
        }
    );
    dies_like(
        sub { $slope->backward },
        qr/non-differentiable: what the caller computes in backward is not recorded/,
        'second order'
    );
};

subtest 'calls of a hybridized block do not share an object' => sub {
    my $parts = mx->sym->Custom(mx->sym->Variable('x') * 2, op_type => 'parts', name => 'p');
    my $block = gluon->SymbolBlock([$parts->[1] / 2 + 1], [mx->sym->Variable('x')]);
    $block->hybridize;
    for (1, 2) {
        my @x = map { nd->array($_) } [1, -1], [-1, 1];
        $_->attach_grad for @x;
        my @y;
        AI::MXNet::AutoGrad->record(sub { push @y, $block->($_) for @x });
        AI::MXNet::AutoGrad->backward(\@y);
        is_deeply([map { [$_->grad->aspdl->list] } @x], [[1, 0], [0, 1]], 'each goes back with what it kept');
    }
};

subtest 'auxiliary states' => sub {
    my ($x, $gain, $mean, $count) = map { nd->array($_) } [1, 3], [2], [0], [0];
    $_->attach_grad for $x, $gain;
    my @y;
    AI::MXNet::AutoGrad->record(
        sub { push @y, nd->Custom($x * $_, $gain, mean => $mean, count => $count, op_type => 'above') for 1, 2 });
    is_deeply([$mean->asscalar, $count->asscalar], [3, 2], 'change with each call');
    is_deeply([map { $_->aspdl->list } @y], [-2, 2, -2, 6], 'and are seen');
    AI::MXNet::AutoGrad->backward(\@y);
    is_deeply([$x->grad->aspdl->list], [6, 6], 'the gradient of what comes before');
    is($gain->grad->asscalar, (1 - 3 + 3 - 3) + (2 - 3 + 6 - 3), 'backward sees states as they are');
    nd->Custom($x, $gain, $mean, $count, op_type => 'above');
    is($count->asscalar, 2, 'nothing is learned outside of training');
    my $s = mx->sym->Custom(data => mx->sym->Variable('x'), op_type => 'above', name => 'a');
    is_deeply($s->list_arguments, ['x', 'a_gain'], 'a symbol knows its arguments');
    is_deeply($s->list_auxiliary_states, ['a_mean', 'a_count'], 'and its states');
    is_deeply((AI::MXNet::Symbol->load_json($s->tojson)->infer_shape(x => [2]))[2], [[1], [1]], 'and their shapes');
    my $exec = $s->simple_bind(ctx => mx->cpu, shapes => { x => [2] });
    $exec->arg_dict->{a_gain} .= 1;
    $exec->forward(1, x => nd->array([1, 3])) for 1 .. 3;
    $exec->backward;
    is_deeply([map { $exec->aux_dict->{$_}->asscalar } qw(a_mean a_count)], [2, 3], 'an executor changes them');
    is_deeply([$exec->outputs->[0]->aspdl->list], [-1, 1], 'before it computes');
    is_deeply([$exec->grad_dict->{x}->aspdl->list], [1, 1], 'and goes back');
    $exec->forward(0) for 1 .. 3;
    is($exec->aux_dict->{a_count}->asscalar, 3, 'no more than it is told to');
    my $block = gluon->SymbolBlock([$s], [mx->sym->Variable('x')]);
    $block->initialize(mx->init->One);
    $block->hybridize;
    AI::MXNet::AutoGrad->record(sub { $block->($x) }) for 1 .. 3;
    is($block->collect_params->get('a_count')->data->asscalar, 4, 'a compiled block does, too');
};

SKIP: {
    skip 'Test::LeakTrace is not there', 1 if not eval { require Test::LeakTrace; 1 };
    my $round = sub {
        my $x = nd->array([1, 2]);
        $x->attach_grad;
        my $y;
        AI::MXNet::AutoGrad->record(sub { $y = nd->Custom($x, op_type => 'parts', by => 3) });
        $y->[0]->backward;
        eval { nd->Custom($x, op_type => 'wrong', fail => 'forward') };
    };
    $round->() for 1 .. 3;
    is(Test::LeakTrace::leaked_count($round), 0, 'no Perl value leaks');
}

done_testing;
