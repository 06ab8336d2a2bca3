use strict;
use warnings;
use File::Spec;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet;

needs_operators(qw(sum dot take sort _full _arange _random_uniform _sample_uniform softmax sgd_update FullyConnected));

# Each script prints what the original interface printed.
my @perl = ($^X, map { '-I' . File::Spec->rel2abs($_) } grep { !ref } @INC);
for my $script (glob 't/behaviour/*/*.pl') {
    my $wanted = do { open my $in, '<', $script =~ s/pl$/out/r or die $!; local $/ = undef; <$in> };
    my $printed = do { open my $out, '-|', @perl, $script or die $!; local $/ = undef; <$out> };
    is($printed, $wanted, $script);
}

done_testing;
