package AI::MXNet::Logging;
use 5.014;
use strict;
use warnings;

our $silent;

sub get_logger
{
    return bless {}, shift;
}

sub warning
{
    my ($self, $format, @args) = @_;
    return if $silent;
    warn sprintf($format, @args) . "\n";
    return;
}

*info = \&warning;
*debug = \&warning;

1;

__END__

=head1 NAME

AI::MXNet::Logging - messages through warn

=head1 SYNOPSIS

    use AI::MXNet::Logging;
    AI::MXNet::Logging->info('epoch %d, loss %.3f', 3, 0.25);
    { local $AI::MXNet::Logging::silent = 1; AI::MXNet::Logging->warning('not said') }

=head1 DESCRIPTION

C<warning>, C<info> and C<debug> are one and the same: the text is formatted as by C<sprintf> and goes to C<warn>, so
C<$SIG{__WARN__}> sees it. Nothing is said while C<$AI::MXNet::Logging::silent> is true. C<get_logger> returns an object
with the same methods.

=cut
