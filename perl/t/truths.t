use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;
use PDL;
use AI::MXNet qw(mx);

# Arrays of truth values: casts make them, operators that move elements pass them on, arithmetic with numbers counts them.
my $x = mx->nd->array([[0, 0.5, -2], ['nan', 0, 3]]);
my $t = mx->nd->cast($x, dtype => 'bool');
is($t->dtype, 'bool', 'a cast makes them');
ok(all($t->aspdl == pdl([[0, 1, 1], [1, 0, 1]])), '1 where there is something else than 0');
is($t->aspdl->type, 'byte', 'bytes in PDL');
is(mx->nd->cast($t, dtype => 'float64')->sum->asscalar, 4, 'a cast counts them');
is($t->astype('int32')->dtype, 'int32', 'and another');

is($t->$_->dtype, 'bool', $_) for qw(copy zeros_like ones_like Flatten T);
is($t->reshape([3, 2])->at(1)->at(0)->asscalar, 1, 'views');
is(mx->nd->concat($t, $t, dim => 0)->slice([3, 3])->dtype, 'bool', 'joined and sliced');
ok(all(mx->nd->where($t, mx->nd->ones_like($x), mx->nd->zeros_like($x))->aspdl == $t->aspdl), 'a condition');
is(mx->nd->_ones(shape => [2], dtype => 'bool')->dtype, 'bool', 'made');
is(($t + 1)->dtype, 'int64', 'a number makes int64 of them');
ok(all(($t * 2)->aspdl == 2 * $t->aspdl), 'of the right value');

$t .= [[5, 0, 0], [0, 0, 0.25]];
ok(all($t->aspdl == pdl([[1, 0, 0], [0, 0, 1]])), 'lists are assigned as truth values');
$t .= 7;
ok(all($t->aspdl == 1), 'and numbers');

for my $call (
    [exp => sub { $t->exp }],
    [broadcast_add => sub { $t + $t }],
    [sum => sub { $t->sum }],
    [tanh => sub { $t->tanh }],
    )
{
    my ($name, $run) = @$call;
    ok(!eval { $run->(); 1 } && $@ =~ /$name: dtype bool is not supported, cast the array first/, "$name refuses them");
}
ok(!eval { mx->nd->array([1], dtype => 'bool'); 1 }, 'constructors want numbers, as upstream does');

my $file = tempdir(CLEANUP => 1) . '/truths.params';
mx->nd->save($file, { t => $t });
is(mx->nd->load($file)->{t}->dtype, 'bool', 'files keep them');

done_testing;
