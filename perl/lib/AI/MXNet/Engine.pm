package AI::MXNet::Engine;
use 5.014;
use strict;
use warnings;
use AI::MXNet::NS;

my $bulk_size = 15;

sub set_bulk_size
{
    my ($class, $size) = @_;
    my $was = $bulk_size;
    $bulk_size = $size;
    return $was;
}

sub bulk
{
    my ($class, $size, $code) = @_;
    my $was = $class->set_bulk_size($size);
    my $ok = eval { $code->(); 1 };
    my $error = $@;
    $class->set_bulk_size($was);
    die $error if not $ok;    ## no critic (RequireCarping)
    return;
}

1;

__END__

=head1 NAME

AI::MXNet::Engine - bulk execution

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $x = nd->ones([2]);
    mx->engine->bulk(10, sub { $x += 1 for 1 .. 5 });
    print $x->aspdl, "\n";

=head1 DESCRIPTION

Operators run when they are called, so there is nothing to put together: C<set_bulk_size> remembers a number and returns the
one before, C<bulk> runs a sub.

=cut
