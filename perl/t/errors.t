use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);

needs_operators(qw(sum dot one_hot broadcast_to Activation max));

# Bad input: the message names the operator, what it got and what it wants, at the line of the script; all goes on after it.

my $x = nd->array([[1, 2, 3], [4, 5, 6]]);

dies_with(sub { $x + nd->ones([2]) }, qr/broadcast_add: .*\(2,3\).*\(2,\)/, 'shapes that do not broadcast');
dies_with(sub { nd->dot($x, $x) }, qr/dot: .*\(2,3\)/, 'inner dimensions');
dies_with(sub { $x->reshape([7]) }, qr/reshape: /, 'a reshape to more elements');
dies_with(sub { $x->reshape([-1, -1]) }, qr/reshape: /, 'two unknowns');
dies_with(sub { $x + nd->ones([2, 3], dtype => 'int32') }, qr/broadcast_add: dtypes.*int32.*float32/, 'dtypes');
dies_with(sub { nd->concat($x, nd->ones([2, 3], dtype => 'int32'), dim => 0) }, qr/[Cc]oncat: /, 'dtypes of a list');
dies_with(sub { nd->concat($x, nd->ones([3, 2]), dim => 0) }, qr/[Cc]oncat: /, 'shapes of a list');
ok(!eval { nd->no_such_operator($x); 1 }, 'an unknown operator');
like($@, qr/"no_such_operator".* at \Q${\__FILE__}\E line/, 'is named');
dies_with(sub { nd->sum($x, { axes => 1 }) }, qr/sum: Cannot find argument 'axes'/, 'an unknown parameter');
dies_with(sub { nd->one_hot(nd->array([1])) }, qr/one_hot: .*depth/, 'a missing parameter');
dies_with(sub { $x->sum(axis => 2) }, qr/sum: .*axis.*2/, 'an axis out of range');
dies_with(sub { $x->expand_dims(axis => 9) }, qr/expand_dims: .*axis.*9/, 'another');
dies_with(sub { $x->slice_axis(axis => 0, begin => 5, end => 6) }, qr/slice_axis: /, 'a slice out of range');
dies_with(
    sub { nd->Activation($x, act_type => 'swoosh') },
    qr/Activation: .*act_type.*swoosh/,
    'a choice that there is not'
);
dies_with(
    sub { nd->zeros([1 << 45, 1 << 45]) },
    qr/\(35184372088832,35184372088832\)|too large|overflow/i,
    'a shape beyond all numbers'
);
dies_with(sub { nd->zeros([1 << 46]) }, qr/memory|allocat|too large/i, 'a shape beyond all memory');
dies_with(sub { $x->broadcast_to([1 << 40, 2, 3]) }, qr/memory|allocat|too large/i, 'a result beyond all memory');
is(nd->array([])->sum->asscalar, 0, 'the sum of nothing is 0');

my $v = nd->array([1, 2]);
$v->attach_grad;
my ($y, $z);
autograd->record(sub { $y = $v->exp; $z = $y * 2 });
$z->backward;
dies_with(sub { $z->backward }, qr/retain_graph/, 'a backward too many');
autograd->record(sub { $y = $v->exp; $z = $y * 2 });
$y += 1;
dies_with(sub { $z->backward }, qr/exp: .*changed in place/, 'a saved value that was changed');
dies_with(sub { nd->ones([2])->backward }, qr/backward: /, 'of what was not recorded');
ok(
    !eval {
        autograd->record(sub { die "stop\n" });
        1;
    },
    'a die in a recorded sub'
);
is($@, "stop\n", 'goes on as it was');
is(autograd->is_recording, 0, 'and recording has ended');

# a wrapper in Perl is not blamed
dies_with(sub { nd->random->uniform('low', 1, [2]) }, qr/uniform/, 'through a Perl method');
dies_with(sub { $x->moveaxis(0, 5) }, qr/moveaxis: axis got 5, want one of -2 to 1/, 'another');
dies_with(sub { nd->concatenate([$x, 1]) }, qr/concatenate: got 1/, 'a third');
{
    my $deep;
    $deep = sub { my $n = shift; return $n ? $deep->($n - 1) : $x->slice(0, 0) + 'x' };
    ok(!eval { $deep->(3); 1 }, 'from deep inside the script');
    like($@, qr/ at \Q${\__FILE__}\E line @{[__LINE__ - 2]}\.$/, 'the line is that of the call');
}
{
    local $SIG{__DIE__} = sub { die "seen: $_[0]" };
    ok(!eval { $x->at(9); 1 }, 'a handler for dying');
    like($@, qr/^seen: at: Dimension 0/, 'sees the text');
}

is_close($x, [1 .. 6], 'nothing of this changed the array');
is_close($x + 1, [2 .. 7], 'and all goes on');

done_testing;
