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

# What compiling did for the last kind of call; empty when that is run call by call.
sub report { return { AI::MXNet::Keshi::cached_op_report($_[0]{handle}) } }

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
that. Shapes may change between calls. While recording the call is recorded, so that gradients flow through it: as one node, or
call by call when the graph has at most C<inline_limit> (2) calls.

For each kind of call (shapes, dtypes, mode, what is recorded) the graph is compiled once: calls that are not needed are dropped and
equal ones made once, constants are computed beforehand, chains of element-wise calls run in one pass over memory, and values in between
share memory. Outside of training, batch normalisation becomes part of the layer before it. With C<KESHI_GRAPH_DEBUG=1> in the
environment the graph is printed to standard error before and after each step.

C<report> tells what that did for the last kind of call, as a hash: calls C<traced> and C<left>, those found C<dead>, C<common>,
C<folded>, C<absorbed>, C<hoisted> and C<fused>, and the bytes that values in between would take (C<unplanned>) and take (C<planned>).
It is empty when the graph could not be compiled and is run call by call.

The flag C<static_alloc> keeps the memory of values in between from call to call; C<param_indices> says which inputs are parameters, so
that what depends on them alone is computed when they change. C<static_shape>, C<forward_bulk_size>, C<backward_bulk_size> and
C<data_indices> are taken and have no effect. Other flags are refused.

=cut
