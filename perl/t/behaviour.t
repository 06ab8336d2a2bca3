use strict;
use warnings;
use File::Spec;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet;

needs_operators(qw(sum dot take sort _full _arange _random_uniform _sample_uniform softmax sgd_update FullyConnected));

# Sparse piddles are of a module that a user of the distribution may lack.
my $has_ccs = eval { require PDL::CCS; 1 };

# Each script prints what the original interface printed.
my @perl = ($^X, map { '-I' . File::Spec->rel2abs($_) } grep { !ref } @INC);
for my $script (glob 't/behaviour/*/*.pl') {
    my $wanted = do { open my $in, '<', $script =~ s/pl$/out/r or die $!; local $/ = undef; <$in> };
    my $uses_ccs = $wanted =~ /PDL::CCS/;
SKIP: {
        skip "$script needs PDL::CCS", 1 if $uses_ccs && !$has_ccs;
        my $printed = do { open my $out, '-|', @perl, $script or die $!; local $/ = undef; <$out> };
        is($printed, $wanted, $script);
    }
}

done_testing;
