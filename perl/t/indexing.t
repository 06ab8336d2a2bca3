use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);

needs_operators(qw(crop gather_nd stack _scatter_set_nd _arange transpose batch_dot));

# One call with NumPy's rules.
my $x = nd->arange(stop => 24)->reshape([2, 3, 4]);
for my $case (
    ['an index drops its axis', [1], [3, 4], [12 .. 23]],
    ['a negative one', [-2, -1, -1], [1], [11]],
    ['a range', ['0', '1:3'], [2, 4], [4 .. 11]],
    ['one text', ['1, ::-1, 1:3'], [3, 2], [21, 22, 17, 18, 13, 14]],
    ['ends beyond the axis', [':99', 0, '-99:2'], [2, 2], [0, 1, 12, 13]],
    ['steps', [0, '::2', '3:0:-2'], [2, 2], [3, 1, 11, 9]],
    ['dots', ['...', 0], [2, 3], [0, 4, 8, 12, 16, 20]],
    ['new axes', ['newaxis, 0, ..., newaxis, 0'], [1, 3, 1], [0, 4, 8]],
    ['a list', [1, [2, 0, -1]], [3, 4], [20 .. 23, 12 .. 15, 20 .. 23]],
    ['a list of a later axis', ['...', [0, 3]], [2, 3, 2], [0, 3, 4, 7, 8, 11, 12, 15, 16, 19, 20, 23]],
    ['lists go together', [[0, 1], [2, 0], [1, 3]], [2], [9, 15]],
    ['lists broadcast', [0, [[0], [2]], [1, 3]], [2, 2], [1, 3, 9, 11]],
    ['lists apart come first', [[0, 1], ':', [1, 2]], [2, 3], [1, 5, 9, 14, 18, 22]],
    ['lists in the middle', [':', [0, 2]], [2, 2, 4], [0 .. 3, 8 .. 11, 12 .. 15, 20 .. 23]],
    ['a mask of everything', [[mask => $x > 21]], [2], [22, 23]],
    ['a mask of one axis', [':', [mask => [1, 0, 1]], 0], [2, 2], [0, 8, 12, 20]],
    ['an array of indices', [nd->array([1, 0], dtype => 'int32'), 0, 0], [2], [12, 0]],
    )
{
    my ($name, $specs, $shape, $values) = @$case;
    is_array($x->index(@$specs), $shape, $values, $name);
}
my $copy = $x->index('...');
$copy += 1;
is($x->at(0)->at(0)->at(0)->asscalar, 0, 'the result is a copy');
is($x->astype('int64')->index(1, 1, '::2')->dtype, 'int64', 'of the same dtype');

dies_with(sub { $x->index(2) }, qr/^index: axis 0 is of size 2, got index 2/, 'out of range');
dies_with(sub { $x->index(0, 0, 0, 0) }, qr/got 4 specs for 3 axes/, 'too many');
dies_with(sub { $x->index('1:1') }, qr/axis 0 of size 2 has nothing in 1:1/, 'an empty range');
dies_with(sub { $x->index('a:b') }, qr/axis 0 got 'a:b', want begin:end/, 'no range');
dies_with(sub { $x->index(1.5) }, qr/axis 0 got 1.5, want a whole number/, 'no index');
dies_with(sub { $x->index('::0') }, qr/a step of 0/, 'a step of 0');
dies_with(sub { $x->index([0, 5]) }, qr/axis 0 is of size 2, got index 5/, 'a list out of range');
dies_with(sub { $x->index([mask => [1, 0, 1]]) }, qr/a mask of shape \(3\) does not fit/, 'a mask that does not fit');

# -- writing

my $y = $x->copy;
$y->index_put(['1, ::2'], -1);
is_close($y->at(1), [(-1) x 4, 16 .. 19, (-1) x 4], 'a number');
$y->index_put([0, [0, 2]], [[9, 8, 7, 6], [5, 4, 3, 2]]);
is_close($y->at(0), [9, 8, 7, 6, 4 .. 7, 5, 4, 3, 2], 'a list into listed rows');
$y->index_put([0], [1, 2, 3, 4]);
is_close($y->at(0), [(1 .. 4) x 3], 'what broadcasts');
$y->index_put([[mask => $y < 0]], nd->zeros([1]));
is_close($y->at(1), [(0) x 4, 16 .. 19, (0) x 4], 'where a mask is set');
$y->at(1)->index_put(['::-1', '0'], nd->array([1, 2, 3], dtype => 'float64'));
is_close($y->index(1, ':', 0), [3, 2, 1], 'through a view, backwards, from another dtype');
dies_with(sub { $y->index_put([0], [1, 2, 3]) }, qr/broadcast/, 'what does not broadcast');
$y->writable(0);
dies_with(sub { $y->index_put([0], 1) }, qr/is not writable/, 'an array that is read only');

# -- gradients

$x->attach_grad;
my $z;
autograd->record(sub { $z = $x->index(1, '::-1', [1, 2]) * nd->array([[1, 2], [3, 4], [5, 6]]) });
$z->backward;
is_close($x->grad, [(0) x 12, 0, 5, 6, 0, 0, 3, 4, 0, 0, 1, 2, 0], 'gradients go to the elements that were read');

# -- einsum

my ($m, $n) = map { nd->array($_) } [[1, 2, 3], [4, 5, 6]], [[1, 0], [0, 1], [2, 2]];
is_array(nd->einsum('ij,jk->ik', $m, $n), [2, 2], [7, 8, 16, 17], 'a product of matrices');
is_array($m->einsum('ij->ji'), [3, 2], [1, 4, 2, 5, 3, 6], 'a transpose, called on an array');
is_array(nd->einsum('ij,ij->', $m, $m), [1], [91], 'everything');
is_array(nd->einsum('...i,i', $x, nd->array([1, 0, 0, 1])), [2, 3], [3, 11, 19, 27, 35, 43], 'dots');
is_array(nd->einsum('ij,j', $m, $n->slice('X', [0])->sever->reshape([3])), [2], [7, 16], 'a vector');
ok(autograd->gradcheck(sub { nd->einsum('ij,jk,lk->il', @_) }, [$m, $n, $n]), 'gradients of three operands');
dies_with(sub { nd->einsum('ij,jk->ik', $m, $m) }, qr/^einsum: operand 1 has another size/, 'sizes that differ');
dies_with(sub { nd->einsum('ij->ik', $m) }, qr/^einsum: .*no operand has/, 'a letter from nowhere');

done_testing;
