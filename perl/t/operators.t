use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);

needs_operators(qw(sum transpose));

my $x = nd->array([[-3, 0.5], [2, 9]]);
my @clipped = (-1, 0.5, 2, 3);
is_close(nd->clip($x, -1, 3), \@clipped, 'class, by position');
is_close(nd->clip($x, a_min => -1, a_max => 3), \@clipped, 'class, by name');
is_close(nd->clip(data => $x, a_max => 3, a_min => -1), \@clipped, 'class, all by name');
is_close(nd->clip($x, { a_min => -1, a_max => 3 }), \@clipped, 'class, a hash');
is_close($x->clip(-1, 3), \@clipped, 'array, by position');
is_close($x->clip({ a_min => -1, a_max => 3 }), \@clipped, 'array, a hash');
is_close($x->clip(-1, a_max => 3), \@clipped, 'both');
is_close($x->clip('-1', '3e0'), \@clipped, 'numbers as text');
is_array($x->sum(axis => 1), [2], [-2.5, 11], 'an axis');
is_array($x->sum(axis => [0, 1], keepdims => 1), [1, 1], [8.5], 'a list of axes');
is_array($x->sum(axis => '(0,)'), [2], [-1, 9.5], 'a list as text');
is_array($x->sum(axis => undef), [1], [8.5], 'undef is None');
is_close(nd->broadcast_sub(rhs => nd->array([1, 2]), lhs => $x), [-4, -1.5, 1, 7], 'inputs by name');
is_close(nd->broadcast_sub($x, rhs => nd->array([1, 2])), [-4, -1.5, 1, 7], 'one by name');
is_close(nd->sqrt(nd->array([4]), name => 'root'), [2], 'a name is accepted');
is_close($x->_rminus_scalar(10), [13, 9.5, 8, 1], 'a scalar operator');
is_close($x->broadcast_add(nd->array([1]), nd->array([2])), [3], 'an array with inputs given counts as a class');
is_array(nd->concat($x, $x, dim => 0), [4, 2], [(-3, 0.5, 2, 9) x 2], 'as many inputs as one likes');
is_array(nd->concat($x, $x, { dim => 1 }), [2, 4], [-3, 0.5, -3, 0.5, 2, 9, 2, 9], 'and a hash');
is_array(nd->transpose(nd->zeros([2, 3, 4]), [2, 0, 1])->reshape([-1]), [24], [(0) x 24], 'a list by position');
is_close(nd->sum($x->slice([0, 1], 0)), [-1], 'a region as input');
is_close(nd->clip($x, PDL->pdl(-1), 3), \@clipped, 'what has a text may be a value');

# -- out

my $out = nd->zeros([2, 2]);
is(nd->abs($x, out => $out)->handle, $out->handle, 'out is returned');
is_close($out, [3, 0.5, 2, 9], 'and filled');
nd->abs($x, { out => $x });
is_close($x, [3, 0.5, 2, 9], 'in place');
my @parts = map { nd->zeros([1, 2]) } 1 .. 2;
is(nd->split($x, num_outputs => 2, axis => 0, out => \@parts), \@parts, 'several outs');
is_close($parts[1], [2, 9], 'filled');
my $big = nd->zeros([3, 2]);
nd->sum($x, axis => 0, out => $big->at(1));
is_close($big, [0, 0, 5, 9.5, 0, 0], 'out may be a view');

# -- results

is(ref $x->split(num_outputs => 2), 'ARRAY', 'several results are a list');
is(ref $x->split(num_outputs => 1), 'AI::MXNet::NDArray', 'one is an array');
is(scalar(@{ nd->zeros([40, 1])->split(num_outputs => 40, axis => 0) }), 40, 'many results');

# -- refused

dies_with(sub { nd->clip($x, 1, 2, 3) }, qr/clip: Too many positional arguments: got '3'/, 'too many');
dies_with(
    sub { nd->clip($x, { a_min => 0, a_mid => 2 }) },
    qr/clip: Cannot find argument 'a_mid', possible arguments: a_min/,
    'an unknown name in a hash'
);
dies_with(sub { nd->clip($x, a_min => 0, a_mid => 1) }, qr/clip/, 'an unknown name in pairs');
dies_with(sub { nd->clip($x, a_min => 0) }, qr/clip.*a_max/, 'a parameter missing');
dies_with(sub { nd->relu('text') }, qr/relu: Too many positional arguments: got 'text'/, 'text for an array');
dies_with(sub { nd->broadcast_add($x) }, qr/broadcast_add/, 'an input missing');
dies_with(sub { nd->broadcast_add(rhs => $x) }, qr/broadcast_add: input lhs is missing/, 'the first input missing');
dies_with(sub { nd->sqrt($x, $x) }, qr/sqrt/, 'an input too many');
dies_with(sub { nd->sqrt() }, qr/sqrt/, 'no input');
dies_with(
    sub { nd->broadcast_add(lhs => 1, rhs => $x) },
    qr/broadcast_add: lhs got '1', want an AI::MXNet::NDArray/,
    'a number for an input'
);
dies_with(sub { $x->sum(axis => 'first') }, qr/sum.*axis/, 'a bad value');
dies_with(
    sub {
        $x->sum(axis => sub { });
    },
    qr/sum.*CODE/,
    'a sub for a value'
);
dies_with(sub { $x->sum(axis => $x) }, qr/sum: parameter axis got an AI::MXNet::NDArray/, 'an array for a value');
dies_with(sub { $x->sum(axis => 5) }, qr/sum.*axis/, 'an axis that there is not');
dies_with(sub { nd->sqrt($x, out => 1) }, qr/sqrt: out got '1'/, 'a bad out');
dies_with(sub { nd->sqrt($x, out => nd->zeros([5])) }, qr/sqrt/, 'out of another shape');
dies_with(sub { nd->sqrt($x, out => nd->zeros([2, 2], dtype => 'int32')) }, qr/sqrt/, 'out of another dtype');
dies_with(sub { AI::MXNet::NDArray::Base::sqrt() }, qr/sqrt: called without a class or an array/, 'not a method call');
ok(!eval { $x->nosuchop; 1 }, 'an unknown operator');
like($@, qr/Can't locate object method "nosuchop" via package "AI::MXNet::NDArray" at \Q${\__FILE__}\E/,
    'is no method');
is_close($x, [3, 0.5, 2, 9], 'nothing of this changed the array');

# What counts arrays is filled in, and checked where it is given.
my $two = nd->array([1, 2]);
is_close(nd->add_n($two, $two, $two, num_args => 3), [3, 6], 'as many arrays as were said');
for my $n (2, 4) {
    dies_with(
        sub { nd->add_n($two, $two, $two, num_args => $n) },
        qr/add_n: num_args is $n but 3 arrays were given/,
        'another number'
    );
}

# Operators without parameters take any name and use none.
is_close($x->abs({ axis => 1 }), [3, 0.5, 2, 9], 'a name that nothing stands for');
ok(!eval { $x->abs(axis => 1); 1 } && $@ =~ /Too many positional arguments/, 'in pairs it is two values too many');
dies_with(sub { $x->dot($x) }, qr/Operator dot expects 2 inputs, but got 1/, 'an array beside others is no input');

# Cumulative sums, and their gradient.
{
    my $m = nd->array([[1, 2, 3], [4, 5, 6]]);
    is_close($m->cumsum(axis => -1), [1, 3, 6, 4, 9, 15], 'along an axis');
    is_close(nd->cumsum($m), [1, 3, 6, 10, 15, 21], 'of all elements');
    $m->attach_grad;
    my $y;
    AI::MXNet::AutoGrad->record(sub { $y = $m->cumsum(axis => 1) * $m });
    $y->backward;
    is_close($m->grad, [7, 8, 9, 19, 20, 21], 'the gradient is cumulated the other way');
    dies_with(sub { $m->cumsum(axis => 3) }, qr/axis is out of range, got 3, want -2 to 1 for 2 axes/, 'no such axis');
}

done_testing;
