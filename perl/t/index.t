use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);

needs_operators(qw(_full _arange gather_nd _crop_assign));

sub grid
{
    return nd->array(
        [
            map {
                my $r = $_;
                [map { $r * 5 + $_ } 0 .. 4]
            } 0 .. 3
        ]
    );
}
my $x = grid();

# -- at

is_array($x->at(1), [5], [5 .. 9], 'at(1)');
is_array($x->at(-1), [5], [15 .. 19], 'at(-1)');
is_array($x->at(1)->at(2), [1], [7], 'at of a vector');
is($x->at(2, 3)->asscalar, 13, 'one element');
$x->at(1) .= [10, 20, 30, 40, 50];
$x->at(0) += 100;
$x->at(2, 2) .= -9;
is_close($x, [100 .. 104, 10, 20, 30, 40, 50, 10, 11, -9, 13 .. 19], 'written through');
my $c = nd->zeros([2, 2, 2]);
dies_with(sub { $x->at() }, qr/at: No idxs supplied/, 'no index');
dies_with(sub { $x->at(4) }, qr/Dimension 0 mismatch Idx: 4 >= Dim Size: 4/, 'too large');
dies_with(sub { $x->at(-5) }, qr/Dimension 0 mismatch Idx: -5 >= Dim Size: 4/, 'too small');
dies_with(sub { $x->at(0, 9) }, qr/Dimension 1 mismatch Idx: 9 >= Dim Size: 5/, 'the second');
dies_with(sub { $x->at(0, 0, 0) }, qr/Dimensions size 2 < indexes size 3/, 'too many');
dies_with(sub { $c->at(0, 0) }, qr/Dimensions size 3 = indexes size 2/, 'too few');
dies_with(sub { $x->at('one') }, qr/at: index 0 got 'one', want a whole number/, 'text');
dies_with(sub { $x->at(0.5) }, qr/at: index 0 got '0.5'/, 'a fraction');

# -- rows

$x = grid();
is_array($x->slice('2'), [1, 5], [10 .. 14], 'an index as text, the dimension kept');
is_array($x->slice([1, 2]), [2, 5], [5 .. 14], 'both ends included');
is_array($x->slice([-2, -1]), [2, 5], [10 .. 19], 'from the end');
is_array($x->slice('X'), [4, 5], [0 .. 19], 'all');
is_array($x->slice([1, 1, 1]), [1, 5], [5 .. 9], 'a stride of 1');
my $view = $x->slice([1, 2]);
$view .= 0;
is_close($x, [0 .. 4, (0) x 10, 15 .. 19], 'rows share memory');
$x->slice(0) += 50;
is_close($x->at(0), [50 .. 54], '+= on rows');

# -- regions

$x = grid();
my $s = $x->slice([1, 2], [2, 4]);
is(ref $s, 'AI::MXNet::NDArray::Slice', 'one spec for each dimension');
is_deeply($s->shape, [2, 3], 'its shape');
is_array($s->sever, [2, 3], [7, 8, 9, 12, 13, 14], 'its values');
is_array($x->slice('X', 1)->sever, [4, 1], [1, 6, 11, 16], 'a column');
is_close(100 - $s, [93, 92, 91, 88, 87, 86], 'arithmetic');
is_close($s > 10, [0, 0, 0, 1, 1, 1], 'comparison');
is("$s", '<AI::MXNet::NDArray 2x3 @cpu(0)>', 'as text');
ok(!$x->slice(0, 0), 'a region of one 0 is false');
ok($x->slice(0, 1), 'of one other number true');
$x->slice([0, 1], [0, 1]) .= [[-1, -2], [-3, -4]];
$x->slice('X', 4) .= 0;
$x->slice(3, [0, 1]) *= 2;
is_close($x, [-1, -2, 2, 3, 0, -3, -4, 7, 8, 0, 10 .. 13, 0, 30, 32, 17, 18, 0], 'written through');
is($x->slice(0, 0)->set(3)->handle, $x->handle, 'set returns the array');
dies_with(sub { $x->slice() }, qr/slice: No slices supplied/, 'no spec');
dies_with(sub { $x->slice(0, 0, 0) }, qr/Dimensions size 2 < slices size 3/, 'too many');
dies_with(sub { $c->slice(0, 0) }, qr/Dimensions size 3 != slices size 2/, 'too few');
dies_with(sub { $x->slice([0, 2, 2]) }, qr/does not support slice strides != 1/, 'a stride');
dies_with(sub { $x->slice([0, 4]) }, qr/Dimension 0 mismatch slice end : 4 >= Dim Size: 4/, 'the end');
dies_with(sub { $x->slice('X', [-6, 1]) }, qr/Dimension 1 mismatch slice begin : -6 >= Dim Size: 5/, 'the beginning');
dies_with(sub { $x->slice([2, 1]) }, qr/Dimension 0 slice mismatch \(begin 2 > end 1\)/, 'crossed');
dies_with(sub { $x->slice('abc') }, qr/slice: dimension 0 got abc, want a whole number/, 'text');
dies_with(sub { $x->slice(0, 0) .= undef }, qr/Validation failed for 'AcceptableInput': got undef/, 'undef');
dies_with(sub { $x->slice([0, 1], [0, 1]) .= [[1, 2, 3]] }, qr/Slice \[2 2\]  != <.*> given as value/, 'a shape');
dies_with(sub { $x->slice([0, 1], [0, 1]) .= [1, 2] }, qr/value <.*> does not match slice dim sizes \[2 2\]/, 'a rank');
dies_with(sub { $s->nosuchmethod }, qr/Can't locate object method "nosuchmethod"/, 'a method that there is not');

# -- assignment

my $y = nd->zeros([2, 3]);
$y .= 4;
is_close($y, [(4) x 6], 'a number');
$y .= [[1, 2, 3], [4, 5, 6]];
is_close($y, [1 .. 6], 'a list');
$y .= PDL->sequence(3, 2);
is_close($y, [0 .. 5], 'a PDL');
$y .= nd->array([[1, 2, 3], [4, 5, 6]], dtype => 'int32');
is_close($y, [1 .. 6], 'an array of another dtype');
$y .= $y * 2;
is_close($y, [2, 4, 6, 8, 10, 12], 'from itself');
dies_with(
    sub { $y .= [[1, 2], [3, 4], [5, 6]] },
    qr/Shape inconsistant: expected 2,3 vs got 3,2/,
    'a list of another shape'
);
dies_with(sub { $y .= nd->ones([3]) }, qr/Shape inconsistant: expected 2,3 vs got 3/, 'an array of another shape');
dies_with(sub { $y .= 'abc' }, qr/Validation failed for 'AcceptableInput': got 'abc'/, 'text');
is_close($y, [2, 4, 6, 8, 10, 12], 'what is refused changes nothing');

# -- operators that index

$x = grid();
is_array($x->slice(begin => [0, 0], end => [4, 5], step => [2, 3]), [2, 2], [0, 3, 10, 13], 'slice with a step');
is_array($x->slice(begin => 1, end => 2), [1, 5], [5 .. 9], 'with numbers');
is_array(nd->crop($x, { begin => [undef, 1], end => [1, undef] }), [1, 4], [1 .. 4], 'crop with undef');
is_array($x->slice([[0, 2], [3, 4]]), [2], [3, 14], 'lists of indices');
is_array($x->slice([nd->array([1, 1]), nd->array([0, 2])]), [2], [5, 7], 'arrays of indices');
is_close($x->[2], [10 .. 14], 'an element of @$x');
is(scalar(@$x), 4, 'as many as rows');
my ($first) = @$x;
$first .= 0;
is_close($x->at(0), [0 .. 4], 'copies');
is_array($_, [1], [7], 'of a vector') for @{ nd->array([7]) };

my $square = nd->array([[1, 2], [3, 4]]);
($square->T) += 1;
is_close($square, [1 .. 4], 'T is a copy that may stand on the left');

done_testing;
