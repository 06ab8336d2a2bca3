package    # the index of CPAN need not know: this stands in for the real module
    Hash::Ordered;
use strict;
use warnings;

# The real one, where another folder of @INC has it.
my ($real) = grep { -e and $_ ne __FILE__ } map { "$_/Hash/Ordered.pm" } grep { not ref } @INC;
if ($real) {
    my $done = do $real;
    die $@ || "cannot read $real: $!" if not $done;
} else {
    require AI::MXNet::HashOrdered;
}

1;
