use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);

needs_operators(qw(exp sum));

# Functions whose gradient is a method in Perl.
{

    package Sigmoid;
    use parent -norequire, 'AI::MXNet::AutoGrad::Function';

    sub forward
    {
        my ($self, $x) = @_;
        my $y = 1 / (1 + exp(-$x));
        $self->save_for_backward($y);
        return $y;
    }

    sub backward
    {
        my ($self, $dy) = @_;
        my ($y) = $self->saved_tensors;
        return $dy * $y * (1 - $y);
    }

    package SumAndProduct;
    use parent -norequire, 'AI::MXNet::AutoGrad::Function';

    sub forward
    {
        my ($self, $x, $y) = @_;
        $self->save_for_backward($x, $y);
        return [($x + $y) * $self->{factor}, $x * $y];
    }

    sub backward
    {
        my ($self, $sum, $product) = @_;
        my ($x, $y) = $self->saved_tensors;
        return ($sum * $self->{factor} + $product * $y, $sum * $self->{factor} + $product * $x);
    }

    package Odd;
    use parent -norequire, 'AI::MXNet::AutoGrad::Function';
    sub forward { my ($self, $x) = @_; $self->save_for_backward($x); return $x * 2 }
    sub backward { my ($self, @grads) = @_; return $self->{back}->($self, @grads) }
}

my $x = nd->array([-1, 0, 2]);
$x->attach_grad;
my @sigmoid = map { 1 / (1 + exp -$_) } -1, 0, 2;
my $sigmoid = Sigmoid->new;
my $y;
autograd->record(sub { $y = $sigmoid->($x) });
is_close($y, \@sigmoid, 'the call gives what forward computes');
$y->backward;
is_close($x->grad, [map { $_ * (1 - $_) } @sigmoid], 'the gradient is what backward says');
autograd->record(sub { $y = $sigmoid->($sigmoid->call($x * 2)) * 3 });
$y->backward;
my @inner = map { 1 / (1 + exp -2 * $_) } -1, 0, 2;
my @outer = map { 1 / (1 + exp -$_) } @inner;
is_close(
    $x->grad,
    [map { 6 * $outer[$_] * (1 - $outer[$_]) * $inner[$_] * (1 - $inner[$_]) } 0 .. 2],
    'inside a longer computation, twice with one object'
);
my $slope;
autograd->record(sub { $slope = autograd->grad($sigmoid->($x), $x, create_graph => 1) });
$slope->backward;
is_close($x->grad, [map { $_ * (1 - $_) * (1 - 2 * $_) } @sigmoid], 'second order');
ok(autograd->gradcheck(sub { $sigmoid->($_[0]) }, [$x]), 'gradcheck agrees');

{

    package Both;
    use Mouse;
    extends 'AI::MXNet::AutoGrad::Function';
    sub forward { my ($self, $p, $q) = @_; $self->save_for_backward($p, $q); return ($p * $q, $p + $q) }

    sub backward
    {
        my ($self, $dp, $dq) = @_;
        my ($p, $q) = $self->saved_tensors;
        return ($dp * $q + $dq, $dp * $p + $dq);
    }
}
{
    my @in = map { nd->array([$_]) } 2, 3;
    $_->attach_grad for @in;
    autograd->record(
        sub {
            my ($product, $sum) = Both->new->(@in);
            ($product + 2 * $sum)->backward;
        }
    );
    is_close($in[0]->grad, [5], 'a list of outputs is a list');
    is_close($in[1]->grad, [4], 'with gradients of both');
    is(ref(scalar Both->new->(@in)), 'ARRAY', 'or a reference to one');
}

my $z = nd->array([3, 4, 5]);
$z->attach_grad;
my $both = SumAndProduct->new(factor => 10);
autograd->record(sub { my $pair = $both->($x, $z); $y = $pair->[0] + $pair->[1] });
$y->backward;
is_close($x->grad, [13, 14, 15], 'two inputs and two outputs');
is_close($z->grad, [9, 10, 12], 'the other input');
autograd->record(sub { my ($sum) = @{ $both->($x, $z) }; $y = $sum * 1 });
$y->backward;
is_close($z->grad, [10, 10, 10], 'an output that nothing depends on counts as zeros');
autograd->record(sub { $y = $both->($x->slice([1, 2]), $z->slice([0, 1]))->[1] });
$y->backward;
is_close($x->grad, [0, 3, 4], 'through views');

is_close($sigmoid->($x), \@sigmoid, 'outside of record');
$y = nd->ones([3]);
autograd->record(sub { $slope = $sigmoid->($y) });
dies_with(sub { $slope->backward }, qr/not in a computational graph/, 'nothing is recorded without a variable');

# -- mistakes

my $odd = sub {
    my $back = shift;
    autograd->record(sub { $y = Odd->new(back => $back)->($x) });
    return $y;
};
dies_with(
    sub {
        $odd->(sub { die "no way\n" })->backward;
    },
    qr/^Function: no way/,
    'a die in backward'
);
dies_with(
    sub {
        $odd->(sub { return })->backward;
    },
    qr/one gradient for each input, got 0, want 1/,
    'too few'
);
dies_with(
    sub {
        $odd->(sub { $_[1]->reshape([3, 1]) })->backward;
    },
    qr/gradient of input 0 does not fit it, got \(3,1\) float32, want \(3,\) float32/,
    'a wrong shape'
);
dies_with(
    sub {
        $odd->(sub { 5 })->backward;
    },
    qr/gradient 0 is '5', want an AI::MXNet::NDArray/,
    'no array'
);
dies_with(sub { Odd->new->(5) }, qr/^Odd: input 0 is 5, want an AI::MXNet::NDArray/, 'no array to begin with');
my $w = nd->ones([2]);
$w->attach_grad;
autograd->record(
    sub {
        $y = Odd->new(back => sub { my ($s, $g) = @_; $g * ($s->saved_tensors)[0] })->($w);
    }
);
$w .= 5;
dies_with(sub { $y->backward }, qr/was saved for backward but changed in place/, 'what was saved is watched');
is_close($odd->(sub { undef })->detach, [-2, 0, 4], 'a gradient that is not there is fine to return');

# -- lifetimes

SKIP: {
    eval { require Test::LeakTrace; 1 } or skip 'needs Test::LeakTrace', 2;
    my $round = sub {
        my $r;
        autograd->record(sub { $r = $sigmoid->($x) + $both->($x, $z)->[1] });
        $r->backward;
        autograd->record(sub { $r = $sigmoid->($x) });
        undef $r;
    };
    $round->() for 1 .. 3;
    my ($before) = AI::MXNet::Keshi::memory();
    is(Test::LeakTrace::leaked_count($round), 0, 'no Perl value leaks');
    $round->() for 1 .. 100;
    my ($after) = AI::MXNet::Keshi::memory();
    is($after, $before, 'no array stays');
}

done_testing;
