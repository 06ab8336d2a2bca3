use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet;

needs_operators(qw(sum _full _random_uniform softmax));

# The SYNOPSIS of every module runs.
sub modules
{
    return map { -d $_ ? modules($_) : /[.](?:pm|pod)$/ ? $_ : () } glob "$_[0]/*";
}

my @perl = ($^X, (map { "-I$_" } grep { !ref } @INC), '-Mstrict', '-Mwarnings');
# Operators that the others need.
my %needs =
    (Files => '_parse_csv', Contrib => '_contrib_box_iou', LinAlg => '_linalg_gemm2', Image => '_image_to_tensor');
for my $module (modules('lib')) {
    my ($name) = $module =~ /(\w+)\.(?:pm|pod)$/;
    next if $needs{$name} and not AI::MXNet::NDArray->can($needs{$name});
    my $pod = do { open my $in, '<', $module or die $!; local $/ = undef; <$in> };
    my ($synopsis) = $pod =~ /^=head1 SYNOPSIS\n(.*?)^=/ms or next;
    open my $run, '|-', "@perl - >/dev/null" or die $!;
    print {$run} $synopsis;
    ok(close $run, "$module: its SYNOPSIS runs");
}

done_testing;
