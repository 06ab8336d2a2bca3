package AI::MXNet::CachedOp;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Symbol;
use AI::MXNet::Symbol::Base;
use Scalar::Util qw(blessed);

use overload
    '&{}' => sub {
    my $self = shift;
    return sub { $self->call(@_) }
    },
    fallback => 1;

sub new
{
    my ($class, $symbol, $flags) = @_;
    my %flags = map { $_ => AI::MXNet::Symbol::Base::text_of($flags->{$_}) } keys %{ $flags // {} };
    my $handle = AI::MXNet::Keshi::cached_op($symbol, \%flags);
    return bless { handle => $handle, outputs => scalar @{ $symbol->list_outputs } }, ref $class || $class;
}

sub handle { return $_[0]{handle} }

# Arrays, then out => where the result goes.
sub call
{
    my ($self, @args) = @_;
    my @inputs;
    push @inputs, shift @args while @args and blessed($args[0]);
    AI::MXNet::Keshi::fail('AI::MXNet::CachedOp::call: got ' . ($args[-1] // 'undef') . ', want an AI::MXNet::NDArray')
        if @args % 2;
    my %given = @args;
    my $out = delete $given{out};
    AI::MXNet::Keshi::fail(
        'AI::MXNet::CachedOp::call got unexpected keyword argument(s): ' . join(', ', sort keys %given))
        if %given;
    my @outputs = AI::MXNet::Keshi::cached_op_call($self->{handle}, \@inputs, $out // []);
    return $out if defined $out;
    return @outputs == 1 ? $outputs[0] : \@outputs;
}

1;

__END__

=head1 NAME

AI::MXNet::CachedOp - a graph that is called like a function

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my ($x, $w) = map { mx->sym->Variable($_) } qw(x w);
    my $op = AI::MXNet::CachedOp->new($x * $w + $x);
    print $op->(mx->nd->array([2, 3]), mx->nd->array([10, 20]))->aspdl, "\n";    # [22 63]

=head1 DESCRIPTION

C<new($symbol, \%flags)> prepares a graph. It is called with the values of its variables, in the order of the symbol's
C<list_inputs>, and returns an array, or a list of arrays when there are several outputs; with C<< out => >> it writes into
that. Shapes may change between calls. While recording the calls of the graph are recorded, so that gradients flow through it.

The flags C<static_alloc>, C<static_shape>, C<inline_limit>, C<forward_bulk_size>, C<backward_bulk_size>, C<data_indices> and
C<param_indices> are hints about speed; others are refused.

=cut
