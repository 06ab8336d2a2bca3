use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);

needs_operators(qw(_random_uniform _random_normal mean));

my $random = nd->random;
sub about { my $x = shift; return join(',', @{ $x->shape }) . ' ' . $x->dtype }

is(about($random->uniform), '1 float32', 'one number');
is(about($random->uniform(shape => 3)), '3 float32', 'a number for a shape');
is(about($random->uniform(-1, 1, [2, 2])), '2,2 float32', 'by position');
is(about($random->uniform({ low => 2, high => 3, shape => [1, 2] })), '1,2 float32', 'a hash');
is(about($random->normal(0, 2, shape => [3, 3], dtype => 'float64')), '3,3 float64', 'both');
is(about($random->randn(2, 4)), '2,4 float32', 'randn');
is(about($random->randint(0, 9, shape => [3])), '3 int32', 'randint');
is($random->uniform(ctx => mx->cpu(1))->context . '', 'cpu(1)', 'a context');
my $out = nd->zeros([2, 3]);
is($random->uniform(5, 6, out => $out)->handle, $out->handle, 'out');
ok(($out->aspdl >= 5)->all, 'is filled');

sub drawn
{
    return join ',', map { $_->aspdl->list } $random->uniform(shape => [4]), $random->normal(shape => [3]);
}
mx->random->seed(42);
my $first = drawn();
my $next = drawn();
mx->random->seed(42);
is(drawn(), $first, 'the same seed gives the same numbers');
isnt($next, $first, 'which go on differently');
mx->random->seed(43);
isnt(drawn(), $first, 'another seed gives others');
mx->random->seed(7, ctx => mx->cpu);
my $of_one = drawn();
mx->random->seed(7, ctx => mx->cpu);
is(drawn(), $of_one, 'the seed of one context');
my $mean = $random->normal(3, 2, shape => [100_000])->mean->asscalar;
ok(abs($mean - 3) < 0.05, 'the mean of a normal distribution');
ok(abs($random->uniform(-2, 4, shape => [100_000])->mean->asscalar - 1) < 0.05, 'of a uniform one');

dies_with(sub { mx->random->seed('x') }, qr/seed: got 'x', want a whole number/, 'a bad seed');
dies_with(sub { mx->random->seed(1, ctx => 'cpu') }, qr/seed: ctx got 'cpu'/, 'a bad context');
dies_with(sub { $random->uniform(0, 1, scale => 2) }, qr/uniform/, 'an unknown name');
dies_with(sub { $random->uniform({ scale => 2 }) }, qr/uniform: Cannot find argument 'scale'/, 'in a hash');
dies_with(sub { $random->exponential }, qr/exponential: scale got nothing/, 'exponential of nothing');
dies_with(sub { $random->randint(3) }, qr/randint: high is missing/, 'randint of one number');
dies_with(
    sub { $random->multinomial(1) },
    qr/multinomial: got 1, want an AI::MXNet::NDArray/,
    'multinomial of a number'
);
ok(!eval { $random->nosuchdistribution(1); 1 }, 'an unknown distribution');

done_testing;
