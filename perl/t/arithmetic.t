use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);

my $x = nd->array([[1, 2, 4], [-5, 0.5, 10]]);
is_close($x + 3, [4, 5, 7, -2, 3.5, 13], 'x + 3');
is_close(3 - $x, [2, 1, -1, 8, 2.5, -7], '3 - x');
is_close($x * -2, [-2, -4, -8, 10, -1, -20], 'x * -2');
is_close(20 / $x, [20, 10, 5, -4, 40, 2], '20 / x');
is_close($x**2, [1, 4, 16, 25, 0.25, 100], 'x ** 2');
is_close(2**$x, [2, 4, 16, 1 / 32, sqrt 2, 1024], '2 ** x');
is_close(-$x, [-1, -2, -4, 5, -0.5, -10], '-x');
is_close($x + '1.5', [2.5, 3.5, 5.5, -3.5, 2, 11.5], 'a number as text');
is_close(nd->array([-7, -3, 0, 3, 7.5]) % 3, [2, 0, 0, 0, 1.5], 'x % 3');
is_close(7 % nd->array([1, 2, 3, 4, -4]), [0, 1, 1, 3, -1], '7 % x');
is_close($x + nd->array([10, 20, 30]), [11, 22, 34, 5, 20.5, 40], 'broadcasting a row');
is_close($x - nd->array([[1], [2]]), [0, 1, 3, -7, -1.5, 8], 'broadcasting a column');
is_close(nd->array([1, 2, 3]) == 2, [0, 1, 0], '==');
is_close(nd->array([1, 2, 3]) != 2, [1, 0, 1], '!=');
is_close(2 > nd->array([1, 2, 3]), [1, 0, 0], 'number > x');
is_close(2 <= nd->array([1, 2, 3]), [0, 1, 1], 'number <= x');
is_close(nd->array([1, 2, 3]) < nd->array([2, 2, 2]), [1, 0, 0], 'x < y');
is_close(sqrt(nd->array([4, 9])), [2, 3], 'sqrt');
is_close(abs(nd->array([-4, 9])), [4, 9], 'abs');
is_close(exp(nd->array([0, 1])), [1, exp 1], 'exp');
is_close(log(nd->array([1, 2])), [0, log 2], 'log');
is_close(sin(nd->array([0, 1])), [0, sin 1], 'sin');
is_close(cos(nd->array([0, 1])), [1, cos 1], 'cos');
is_close(atan2(nd->array([1, 2]), nd->array([1, 1])), [atan2(1, 1), atan2(2, 1)], 'atan2');
is_close(atan2(2, nd->array([1, 4])), [atan2(2, 1), atan2(2, 4)], 'atan2 of a number');
is_close($x->add(1), [map { $_ + 1 } 1, 2, 4, -5, 0.5, 10], 'add');
is_close($x->subtract(10, 1), [9, 8, 6, 15, 9.5, 0], 'subtract, reversed');
is_close(nd->maximum($x, 2), [2, 2, 4, 2, 2, 10], 'maximum through the class');
is_close($x->minimum(2), [1, 2, 2, -5, 0.5, 2], 'minimum');

# -- in place

my $z = nd->array([1, 2, 3]);
my $alias = $z;
$z += 1;
$z *= 2;
$z -= 2;
$z /= 4;
is_close($alias, [0.5, 1, 1.5], 'aliases follow += *= -= /=');
$z++;
is_close($alias, [1.5, 2, 2.5], '++ too');
$z**= 2;
is_close($z, [2.25, 4, 6.25], '**=');
is_close($alias, [1.5, 2, 2.5], 'makes a new array');
my $r = $alias->iadd(1)->imultiply(2);
is($r->handle, $alias->handle, 'the methods return the array');
dies_with(sub { $alias += nd->ones([2, 3]) }, qr/./, 'growing');
is_close($alias, [5, 6, 7], 'which leaves it as it was');
my $i = nd->array([1, 2], dtype => 'int32');
$i *= 2.5;
is_array($i, [2], [2, 4], 'a number becomes the dtype of the array', 'int32');
is_array(nd->array([7, -6], dtype => 'int32') / 2, [2], [3, -3], 'integers divide to integers', 'int32');

# -- truth

ok(nd->array([0.5]), 'one element that is not 0 is true');
ok(!nd->array([0]), '0 is false');
ok(!nd->array([[0]], dtype => 'int32'), 'whatever the shape and dtype');
ok(nd->zeros([2]), 'more elements are true');
ok(!(nd->array([-3]) >= 0), 'a comparison is an honest condition');
ok(nd->array(['nan']), 'NaN is not 0');

# -- refused

dies_with(sub { my $q = $x + [1] }, qr/add: got a list, want an AI::MXNet::NDArray or a number/, 'plus a list');
dies_with(sub { my $q = $x * undef }, qr/multiply: got undef/, 'times undef');
dies_with(sub { my $q = $x + 'abc' }, qr/add: got 'abc'/, 'plus text');
dies_with(sub { my $q = $x + PDL->pdl(1) }, qr/add: got a PDL/, 'plus a PDL');
dies_with(sub { my $q = PDL->pdl(1) - $x }, qr/subtract: got a PDL/, 'a PDL minus an array');
dies_with(sub { my $q = $i + nd->ones([2]) }, qr/broadcast_add/, 'int32 plus float32');
dies_with(sub { my $q = $x + nd->ones([4]) }, qr{broadcast_add: .*shapes \(2,3\) and \(4,\)}, 'shapes that do not fit');

for my $case ([eq => sub { $x eq 'a' }], [cmp => sub { $x cmp 'a' }], ['<=>' => sub { $x <=> 1 }]) {
    ok(!eval { my $q = $case->[1]->(); 1 }, "$case->[0] dies");
    like($@, qr/Operation "\Q$case->[0]\E": no method found/, 'as it has no meaning');
}
my $text = 'text ';
$text .= $x;
is($text, 'text <AI::MXNet::NDArray 2x3 @cpu(0)>', 'text .= array is text');

# -- read-only

$x->writable(0);
dies_with(sub { $x .= 3 }, qr/Array is not writable/, '.= on a read-only array');
dies_with(sub { $x += 3 }, qr/trying to add to a readonly NDArray/, '+=');
dies_with(sub { $x %= 3 }, qr/trying to modulo to a readonly NDArray/, '%=');
dies_with(sub { $x->at(0) .= 3 }, qr/Array is not writable/, 'a row of it');
is(join(' ', map { $_->writable } $x->at(0), $x->slice(1), $x->reshape([6]), $x->copy, $x + 1),
    '0 0 0 1 1', 'views inherit');

done_testing;
