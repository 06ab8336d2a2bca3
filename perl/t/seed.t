use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);

needs_operators(qw(_random_uniform sum));

eval { require PDL::LinearAlgebra; 1 } or plan skip_all => 'needs PDL::LinearAlgebra';

# The page as it stands.
my $page = 'examples/seed.pl';
my @command = ($^X, (map { "-I$_" } @INC), $page);
my $printed = do { open my $out, '-|', @command or die $!; local $/ = undef; <$out> };
is($?, 0, 'the page runs');
my $first = "\n[\n [1 2]\n [3 4]\n]\n\n[\n [ 4  8]\n [12 16]\n]\n";
is(substr($printed, 0, length $first), $first, 'the first example prints what the page prints');
like(substr($printed, length $first), qr/^\[(\d+) 0\]\[\1 +[\d.]+\]$/, 'the second prints a gradient and ratios');

# Its second example for many arrays: the gradient is cc/aa of the element that was picked, and 0 of the other.
my $source = do { open my $in, '<', $page or die $!; local $/ = undef; <$in> };
my ($subs) = $source =~ /^(sub pdlmnorm.*?^})\s+^(?=my \$aa)/ms;
eval "$subs; 1" or die $@;    ## no critic (ProhibitStringyEval)

sub holds
{
    my ($aa, $picked, $name) = @_;
    $aa->attach_grad;
    my $cc;
    mx->autograd->record(sub { $cc = ff($aa) });
    is_deeply($cc->shape, [1], "$name: one element");
    $cc->backward;
    my $ratio = $cc->asscalar / $aa->at($picked)->asscalar;
    my @want = $picked ? (0, $ratio) : ($ratio, 0);
    return is_close($aa->grad, \@want, "$name: the gradient", 1e-5);
}

for my $seed (1 .. 40) {
    mx->random->seed($seed);
    holds(nd->random->uniform(shape => 2), 0, "seed $seed, positive");
    mx->random->seed($seed);
    my $any = nd->random->uniform(-1, 1, shape => 2);
    holds($any, $any->sum->asscalar >= 0 ? 0 : 1, "seed $seed, any sign");
    mx->random->seed($seed);
    holds(nd->random->uniform(-1, 0, shape => 2) - 0.001, 1, "seed $seed, negative");
}

done_testing;
