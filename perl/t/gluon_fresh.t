use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);

# Calls of layers and steps of trainers go a short way when nothing is unusual. Whatever changes between two calls must show in the
# second: no array, number or hook of the first may linger.

my $dir = tempdir(CLEANUP => 1);
my $x = nd->array([[1, 2]]);

sub dense
{
    my $net = nn->Dense(1, in_units => 2, @_);
    $net->initialize(mx->init->One) if not grep { $_ eq 'params' } @_;
    return $net;
}

sub warnings_of
{
    my $code = shift;
    my @warnings;
    local $SIG{__WARN__} = sub { push @warnings, @_ };
    $code->();
    return @warnings;
}

# -- arrays of the parameters, called before (call by call, then hybridized) and after

for my $hybrid (0, 1) {
    my $how = $hybrid ? 'hybridized' : 'call by call';
    my $called = sub {
        my $net = dense(@_);
        $net->hybridize if $hybrid;
        $net->($x) for 1, 2;
        return $net;
    };
    my $net = $called->();
    is_close($net->($x), [3], "$how: to begin with");
    $net->weight->set_data(nd->array([[2, 0]]));
    is_close($net->($x), [2], "$how: set_data");
    $net->weight->data->set(5);
    is_close($net->($x), [15], "$how: set in place");
    $net->save_parameters("$dir/fives");
    $net->weight->set_data(nd->zeros([1, 2]));
    $net->load_parameters("$dir/fives");
    is_close($net->($x), [15], "$how: load_parameters");
    $net->initialize(mx->init->Constant(2), force_reinit => 1);
    is_close($net->weight->data, [2, 2], "$how: initialized again");
    is_close($net->($x), [6], "$how: and called so");

    $net->cast('float64');
    is($net->($x->astype('float64'))->dtype, 'float64', "$how: cast");
    dies_with(sub { $net->($x) }, qr/float/, "$how: another dtype is refused");
    $net->cast('float32');
    is_close($net->($x), [6], "$how: cast back");

    $_->reset_ctx(ctx => mx->cpu(1)) for $net->collect_params->values;
    is($net->($x->as_in_context(mx->cpu(1)))->context . '', 'cpu(1)', "$how: reset_ctx");
    $_->reset_ctx(ctx => [mx->cpu(0), mx->cpu(1)]) for $net->collect_params->values;
    is(
        join(' ', map { $net->($x->as_in_context($_))->context } mx->cpu(0), mx->cpu(1)),
        'cpu(0) cpu(1)',
        "$how: two contexts"
    );
    $net->weight->list_data->[1]->set(0);
    is_close($net->($x), [6], "$how: the first has its copy");
    is_close($net->($x->as_in_context(mx->cpu(1))), [0], "$how: and the second");

    my $shared = $called->(params => $net->params);
    $shared->weight->set_data(nd->array([[7, 0]]));
    is_close($net->($x), [7], "$how: shared parameters");

    my $data = nd->array([[1, 1]]);
    my $grad_of = sub {
        mx->autograd->record(sub { $net->($data)->backward });
        return $net->weight->list_grad->[0];
    };
    is_close($grad_of->(), [1, 1], "$how: a gradient");
    $net->weight->grad_req('null');
    mx->autograd->record(sub { $net->($data)->backward });
    ok(!defined $net->weight->data(mx->cpu(0))->grad, "$how: grad_req null");
    $net->weight->grad_req('add');
    $grad_of->();
    is_close($grad_of->(), [2, 2], "$how: grad_req add");
}

{
    my $net = dense();
    $net->($x);
    $net->weight->reset_ctx(ctx => mx->cpu(1));
    dies_with(sub { $net->($x) }, qr/was not initialized on context cpu\(0\).*cpu\(1\)/,
        'the other context is refused');
}

# -- blocks that change

{
    my $net = dense(activation => 'relu');
    $net->($x);
    my @seen;
    my $hook = $net->register_forward_hook(sub { push @seen, 'after' });
    my $before = $net->register_forward_pre_hook(sub { push @seen, 'before' });
    my $inside = $net->act->register_forward_hook(sub { push @seen, 'relu' });
    is_close($net->($x), [3], 'with hooks');
    is("@seen", 'before relu after', 'hooks that came after a call');
    $_->detach for $hook, $before, $inside;
    $net->($x);
    is(scalar @seen, 3, 'and went before another');
    $net->register_forward_pre_hook(sub { $_[1][0] = nd->zeros([1, 2]) });
    is_close($net->($x), [0], 'a hook that changes the input');
}

{

    package Sum;
    use AI::MXNet::Gluon::Mouse;
    extends 'AI::MXNet::Gluon::HybridBlock';
    sub BUILD { my $self = shift; $self->one($self->params->get('one', shape => [1], init => 'ones')) }

    sub hybrid_forward
    {
        my ($self, $F, $x, %params) = @_;
        $self->{seen} = "$AI::MXNet::Context";
        $x = $x + $params{$_} for sort keys %params;
        return $x;
    }
}
my $sum = Sum->new;
$sum->initialize;
is_close($sum->(nd->array([1])), [2], 'one parameter');
$sum->two($sum->params->get('two', shape => [1], init => mx->init->Constant(2)));
$sum->two->initialize;
is_close($sum->(nd->array([1])), [4], 'two, once it has two');
$sum->_reg_params->set(three => $sum->params->get('three', shape => [1], init => mx->init->Constant(3)));
$sum->params->get('three')->initialize;
is_close($sum->(nd->array([1])), [7], 'three, by way of _reg_params');
is_close($sum->(nd->array([5, 1])->at(1)), [7], 'of a part of an array');
$_->reset_ctx(ctx => mx->cpu(2)) for $sum->collect_params->values;
$sum->(nd->array([1], ctx => mx->cpu(2)));
is($sum->{seen}, 'cpu(2)', "the current context is the data's");
is("$AI::MXNet::Context", 'cpu(0)', 'and put back');
{
    no warnings 'redefine';
    local *Sum::hybrid_forward = sub { die "by design\n" };
    ok(!eval { $sum->(nd->array([1], ctx => mx->cpu(2))); 1 }, 'a dying hybrid_forward');
    is($@, "by design\n", 'with its words');
    is("$AI::MXNet::Context", 'cpu(0)', 'the context is put back then too');
    *Sum::hybrid_forward = sub { return $_[2], $_[2] * 2 };
    my @both = $sum->(nd->array([1], ctx => mx->cpu(2)));
    is_close($both[1], [2], 'all that it returns');
    is_close(scalar($sum->(nd->array([1], ctx => mx->cpu(2)))), [1], 'the first in scalar context');
    *Sum::hybrid_forward = sub { return };
    is(scalar($sum->(nd->array([1], ctx => mx->cpu(2)))), undef, 'or nothing');
    no warnings 'once';
    local *Sum::forward = sub { 'mine' };
    is($sum->(nd->array([1])), 'mine', 'a forward that came later');
}
dies_with(sub { $sum->('text') }, qr/requires the first argument to forward.*\[text\]/, 'text is refused');
dies_with(sub { $sum->call }, qr/requires the first argument to forward.*\[undef\]/, 'as is nothing');
dies_with(sub { AI::MXNet::Gluon::Block->call }, qr/call: got 'AI::MXNet::Gluon::Block', want a block/, 'no block');
is(ref dense()->(mx->sym->var('x')), 'AI::MXNet::Symbol', 'symbols are traced');

# -- steps: the gradient of the weight is always [1 2] here

sub trained
{
    my ($net, $trainer, @step) = @_;
    mx->autograd->record(sub { $net->($x)->backward });
    my $before = $net->weight->list_data->[0]->copy;
    $trainer->step(@step ? @step : 1);
    return ($before - $net->weight->list_data->[0]);
}

{
    my $net = dense();
    my $trainer = gluon->Trainer($net->collect_params, 'sgd', { learning_rate => 0.5 });
    is_close(trained($net, $trainer), [0.5, 1], 'a step');
    is_close(trained($net, $trainer, 2), [0.25, 0.5], 'of half the size');
    $trainer->set_learning_rate(1);
    is_close(trained($net, $trainer), [1, 2], 'set_learning_rate');
    $trainer->_optimizer->lr(2);
    is_close(trained($net, $trainer), [2, 4], 'lr of the optimizer');
    $net->weight->lr_mult(0.5);
    is_close(trained($net, $trainer), [1, 2], 'lr_mult');
    $trainer->_optimizer->wd(1);
    $net->weight->wd_mult(0);
    is_close(trained($net, $trainer), [1, 2], 'wd_mult');
    $net->weight->wd_mult(1);
    $net->weight->set_data(nd->ones([1, 2]));
    is_close(trained($net, $trainer), [2, 3], 'wd');
    $trainer->_optimizer->wd(0);
    $trainer->_optimizer->clip_gradient(1);
    is_close(trained($net, $trainer), [1, 1], 'clip_gradient');
    $trainer->_optimizer->clip_gradient(undef);

    $net->weight->grad_req('null');
    is_close(trained($net, $trainer), [0, 0], 'grad_req null');
    $net->weight->grad_req('write');
    is_close(trained($net, $trainer), [1, 2], 'grad_req write');
    $net->initialize(mx->init->One, force_reinit => 1);
    is_close(trained($net, $trainer), [1, 2], 'initialized again');
    $net->cast('float64');
    my $weight = $net->weight->data->copy;
    mx->autograd->record(sub { $net->($x->astype('float64'))->backward });
    $trainer->step(1);
    is_close($weight - $net->weight->data, [1, 2], 'cast');
    $net->cast('float32');
    my $other = gluon->Trainer($net->collect_params, 'sgd', { learning_rate => 0.25 });
    is_close(trained($net, $other), [0.125, 0.25], 'a second trainer');
    is_close(trained($net, $trainer), [1, 2], 'and the first again');
    is($trainer->_optimizer->num_update, 13, 'every step is counted');

    is(scalar(warnings_of(sub { $trainer->step(1) })), 2, 'each stale gradient warns');
    my $before = $net->weight->data->copy;
    is(scalar(warnings_of(sub { $trainer->step(1, 1) })), 0, 'or is ignored');
    is_close($net->weight->data, $before, 'which changes nothing');
    mx->autograd->record(sub { ($net->weight->data * $x)->sum->backward });
    my $bias = $net->bias->data->copy;
    $trainer->step(1, 1);
    is_close($before - $net->weight->data, [1, 2], 'a fresh gradient beside a stale one');
    is_close($net->bias->data, $bias, 'which is left alone');
}

{
    my $net = dense();
    my $trainer = gluon->Trainer($net->collect_params, 'sgd', { learning_rate => 1, momentum => 0.5 });
    is_close(trained($net, $trainer), [1, 2], 'momentum: first step');
    is_close(trained($net, $trainer), [1.5, 3], 'second');
    $trainer->save_states("$dir/states");
    is_close(trained($net, $trainer), [1.75, 3.5], 'third');
    $trainer->load_states("$dir/states");
    is_close(trained($net, $trainer), [1.75, 3.5], 'the third again, with the states of the second');
    $trainer->_optimizer->momentum(0);
    is_close(trained($net, $trainer), [1, 2], 'no momentum any more');
    $trainer->_optimizer->momentum(0.5);
    delete @{ $trainer->_updaters->[0]->states }{ 0, 1 };
    is_close(trained($net, $trainer), [1, 2], 'states that were deleted begin anew');
}

{
    my $net = dense();
    my $trainer = gluon->Trainer($net->collect_params, 'sgd',
        { learning_rate => 4, lr_scheduler => AI::MXNet::FactorScheduler->new(step => 1, factor => 0.5) });
    my @steps = map { trained($net, $trainer)->at(0)->at(0)->asscalar } 1 .. 4;
    is("@steps", '4 4 2 1', 'a scheduler');
}

{

    package Halved;
    use Mouse;
    extends 'AI::MXNet::SGD';
    sub _get_lr { my ($self, $index) = @_; return $self->SUPER::_get_lr($index) / 2 }
    __PACKAGE__->register;
}
{
    my $net = dense();
    my $trainer = gluon->Trainer($net->collect_params, 'halved', { learning_rate => 1 });
    is_close(trained($net, $trainer), [0.5, 1], 'an optimizer with a rate of its own');
}

{

    package Kept;
    use Mouse;
    extends 'AI::MXNet::Gluon::Parameter';
    sub grad_req { return @_ > 1 ? $_[0]->SUPER::grad_req($_[1]) : 'null' }
}
{
    my $weight = Kept->new('kept', shape => [2]);
    $weight->initialize(init => 'ones');
    my $trainer = gluon->Trainer([$weight], 'sgd', { learning_rate => 1 });
    mx->autograd->record(sub { ($weight->data * 2)->sum->backward });
    $trainer->step(1);
    is_close($weight->data, [1, 1], 'a parameter with a grad_req of its own');
}

# -- losses with one number for each sample, and those that are means

{
    my $scores = nd->array([[1, 2, 0.5], [0, -1, 3]]);
    my ($label, $weight) = (nd->array([2, 0]), nd->array([[1], [2]]));
    my $log = nd->log_softmax($scores);
    my @want = map { -$log->at($_)->at([2, 0]->[$_])->asscalar } 0, 1;
    my $loss = gluon->loss->SoftmaxCrossEntropyLoss;
    is_close($loss->($scores, $label), \@want, 'cross entropy');
    is("@{ $loss->($scores, $label->reshape([2, 1]))->shape }", '2', 'labels in a column');
    is_close($loss->($scores, $label, $weight), [$want[0], 2 * $want[1]], 'weights of the samples');
    is_close(gluon->loss->SoftmaxCrossEntropyLoss(weight => 3)->($scores, $label), [map { 3 * $_ } @want], 'a weight');
    my $mean = ($want[0] + $want[1]) / 2;
    is_close($loss->($scores->expand_dims(0), $label->expand_dims(0)), [$mean], 'the mean over an axis more');
    $loss->hybridize;
    is_close($loss->($scores, $label), \@want, 'hybridized');
}

done_testing;
