use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);

needs_operators(qw(_full sum));

# -- from lists

is_array(nd->array([5, 6, 7]), [3], [5, 6, 7], 'one list');
is_array(nd->array([[1, 2, 3], [4, 5, 6]]), [2, 3], [1 .. 6], 'two rows');
is_array(nd->array([[[1], [2]], [[3], [4]]]), [2, 2, 1], [1 .. 4], 'three deep');
is_array(nd->array([]), [0], [], 'an empty list');
is_array(nd->array([[]]), [1, 0], [], 'a list of an empty list');
is_array(nd->array(['1.5', '-2', '3e2']), [3], [1.5, -2, 300], 'numbers as text');
is_array(nd->array(['nan', 'inf', '-inf']), [3], ['nan', 'inf', '-inf'], 'not finite');
is_array(nd->array([undef, 1]), [2], [0, 1], 'undef counts as 0');
is_array(nd->array([300, -1, 1.9, -1.9], dtype => 'uint8'), [4], [44, 255, 1, 255], 'uint8 wraps and cuts', 'uint8');
is_array(nd->array([2**40 + 1, -(2**52)], dtype => 'int64'), [2], [2**40 + 1, -(2**52)], 'wide integers', 'int64');
is_array(nd->array([1.9, -1.9], dtype => 'int32'), [2], [1, -1], 'fractions are cut', 'int32');

# ragged lists: filled with 0 up to the longest row
is_array(nd->array([[1, 2, 3], [4]]), [2, 3], [1, 2, 3, 4, 0, 0], 'a short row');
is_array(nd->array([[1], [2, 3]]), [2, 2], [1, 0, 2, 3], 'a longer row');
is_array(nd->array([[], [1]]), [2, 1], [0, 1], 'an empty row');
is_array(nd->array([[[1, 2]], [[3], [4, 5]]]), [2, 2, 2], [1, 2, 0, 0, 3, 0, 4, 5], 'ragged in two dimensions');
is_array(nd->array([1, [2, 3]]), [2, 2], [1, 0, 2, 3], 'a number beside a list is a row');
is_array(nd->array([[1, 2], 3]), [2, 2], [1, 2, 3, 0], 'also behind it');

my @row = (1, 2, 3);
my $made = nd->array([\@row, \@row]);
@row = (0) x 3;
is_array($made, [2, 3], [1, 2, 3, 1, 2, 3], 'the list may change afterwards');

my $deep = [1];
$deep = [$deep] for 1 .. 40;
dies_with(sub { nd->array($deep) }, qr/array: lists nested deeper than 32/, 'nested too deep');
dies_with(sub { nd->array(undef) }, qr/array: got undef, want a list, a PDL or an AI::MXNet::NDArray/, 'undef');
dies_with(sub { nd->array(7) }, qr/array: got '7'/, 'a number');
dies_with(sub { nd->array([1, 'two']) }, qr/array: an element is 'two', want a number/, 'text');
dies_with(sub { nd->array([1, {}]) }, qr/array: an element is a reference to HASH/, 'a hash');
dies_with(sub { nd->array([nd->ones([1])]) }, qr/array: an element is an AI::MXNet::NDArray/, 'a list of arrays');
dies_with(sub { nd->array([1], dtype => 'double') }, qr/array: dtype got 'double', want float32/, 'a dtype of PDL');
dies_with(
    sub { nd->array([1], type => 'int32') },
    qr/array: no such named argument 'type', want one of ctx, dtype/,
    'a bad name'
);

{

    package Tied;
    sub TIEARRAY { return bless [2, 4, 8], shift }
    sub FETCH { return $_[0][$_[1]] }
    sub FETCHSIZE { return scalar @{ $_[0] } }
}
tie my @tied, 'Tied';
is_array(nd->array(\@tied), [3], [2, 4, 8], 'a tied list');
is_array(nd->array([\@tied, [1]]), [2, 3], [2, 4, 8, 1, 0, 0], 'tied and ragged');

# -- filled

is_array(nd->zeros([2, 3]), [2, 3], [(0) x 6], 'zeros');
is_array(nd->ones([3], dtype => 'int8'), [3], [1, 1, 1], 'ones', 'int8');
is_array(nd->full([2, 2], 2.5), [2, 2], [(2.5) x 4], 'full');
is_array(nd->full([2], -2.5, dtype => 'int32'), [2], [-2, -2], 'full cuts', 'int32');
is_array(nd->full([3], 1.5, dtype => 'float16'), [3], [(1.5) x 3], 'full float16', 'float16');
is(nd->empty([4, 2], dtype => 'float64')->dtype, 'float64', 'empty');
my $out = nd->ones([2, 2]);
is(nd->zeros([9], out => $out)->handle, $out->handle, 'zeros returns out');
is_array($out, [2, 2], [(0) x 4], 'filled');

for my $shape ([], [0], [2, 0], [-1], [1.5], ['a'], 'abc', undef, {}) {
    dies_with(sub { nd->zeros($shape) }, qr/zeros: (?:dimension \d of the )?shape got/, 'zeros of a bad shape');
}
dies_with(sub { nd->full([2], 'much') }, qr/full: the value got 'much', want a number/, 'full of text');
dies_with(sub { nd->zeros([1 << 40, 1 << 40]) }, qr/./, 'more elements than there are numbers');
dies_with(sub { nd->zeros([1 << 50]) }, qr/./, 'more memory than there is');

# -- from arrays and PDLs

my $x = nd->array([[1, 2], [3, 4]]);
my $y = nd->array($x);
$y += 10;
is_array($x, [2, 2], [1 .. 4], 'of an array: a copy');
is_array(nd->array($y, dtype => 'int32'), [2, 2], [11 .. 14], 'of another dtype', 'int32');
is_array(nd->array(nd->array([1, 2], dtype => 'int64')), [2], [1, 2], 'float32 unless told');
is_array(nd->from_bytes(pack('f*', 1, 2), [1, 2]), [1, 2], [1, 2], 'from_bytes');
is($x->bytes, pack('f*', 1 .. 4), 'bytes');
dies_with(sub { nd->from_bytes('abc', [1]) }, qr/./, 'from_bytes of another length');

# -- properties

is_deeply($x->shape, [2, 2], 'shape');
is(join(' ', $x->size, $x->ndim, $x->len, $x->dtype, $x->stype, $x->writable), '4 2 2 float32 default 1', 'the others');
is(nd->size([4, 5]), 20, 'size of a shape');
is("$x", '<AI::MXNet::NDArray 2x2 @cpu(0)>', 'as text');
is($x->show, "[[1 2]\n [3 4]]\n2x2 float32 \@cpu(0)\n", 'show');
is(
    nd->array([[-1.5, 20], [3, 4]])->show,
    "[[-1.5   20]\n [   3    4]]\n2x2 float32 \@cpu(0)\n",
    'show puts columns below each other'
);
is(nd->array([12345678], dtype => 'int64')->show, "[12345678]\n1 int64 \@cpu(0)\n", 'show gives whole numbers whole');
like(
    nd->zeros([20, 2, 9])->show,
    qr/\A\[\[\[0 0 0 \.\.\. 0 0 0\]\n  \[.*\]\]\n \.\.\.\n \[\[0/s,
    'show of three dimensions'
);
like(nd->zeros([100])->show, qr/^\[0 0 0 \.\.\. 0 0 0\]\n100 float32/, 'show leaves the middle out');
is(nd->array([2.5])->asscalar, 2.5, 'asscalar');
is(nd->array([9007199254740993], dtype => 'int64')->asscalar, '9007199254740993', 'asscalar of a wide integer');
dies_with(sub { $x->asscalar }, qr/asscalar: ndarray size must be 1, got 4 elements/, 'asscalar of more');
ok(!eval { nd->ones([2], stype => 'csr'); 1 }, 'ones are never sparse');

done_testing;
