package AI::MXNet::RNN::Cell;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Initializer;
use AI::MXNet::RNN::Base;

# Cells that step: the plain one, LSTM and GRU.

our @ISA = ('AI::MXNet::RNN::Base');    ## no critic (ProhibitExplicitISA)

sub _arguments
{
    return (
        'num_hidden',
        num_hidden => undef,
        prefix => 'rnn_',
        params => undef,
        activation => 'tanh',
        forget_bias => 0
    );
}

sub BUILD
{
    my $self = shift;
    AI::MXNet::RNN::Base::_fail(ref($self) . ': num_hidden is missing') if not defined $self->{num_hidden};
    my $params = $self->{params};
    $self->{i2h_bias} = $params->get('i2h_bias', $self->_bias_init);
    $self->{$_} = $params->get($_) for qw(i2h_weight h2h_weight h2h_bias);
    return;
}

sub _bias_init { return () }
sub state_info { return [{ shape => [0, $_[0]{num_hidden}], __layout__ => 'NC' }] }

# What the input and the last state contribute to all gates.
sub _products
{
    my ($self, $input, $state, $name) = @_;
    my $hidden = $self->{num_hidden} * @{ $self->_gate_names };
    my $product = sub {
        my ($data, $of) = @_;
        return AI::MXNet::Symbol->FullyConnected(
            data => $data,
            weight => $self->{"${of}_weight"},
            bias => $self->{"${of}_bias"},
            num_hidden => $hidden,
            name => "$name$of"
        );
    };
    return ($product->($input, 'i2h'), $product->($state, 'h2h'));
}

sub call
{
    my ($self, $input, $states) = @_;
    my $name = $self->_step;
    my ($i2h, $h2h) = $self->_products($input, $states->[0], $name);
    my $output = $self->_activation($i2h + $h2h, $self->{activation}, name => "${name}out");
    return ($output, [$output]);
}

package AI::MXNet::RNN::LSTMCell;    ## no critic (ProhibitMultiplePackages)
use strict;
use warnings;

our @ISA = ('AI::MXNet::RNN::Cell');    ## no critic (ProhibitExplicitISA)

sub _arguments { return ($_[0]->SUPER::_arguments, prefix => 'lstm_', forget_bias => 1) }
sub _bias_init { return (init => AI::MXNet::LSTMBias->new(forget_bias => $_[0]{forget_bias})) }
sub _gate_names { return [qw(_i _f _c _o)] }

sub state_info
{
    my $self = shift;
    return [map { +{ shape => [0, $self->{num_hidden}], __layout__ => 'NC' } } 1 .. 2];
}

sub call
{
    my ($self, $input, $states) = @_;
    my $name = $self->_step;
    my ($i2h, $h2h) = $self->_products($input, $states->[0], $name);
    my @gates = @{ AI::MXNet::Symbol->SliceChannel($i2h + $h2h, num_outputs => 4, name => "${name}slice") };
    my ($in, $forget, $out) =
        map { $self->_activation($gates[$_->[0]], 'sigmoid', name => "$name$_->[1]") } [0, 'i'], [1, 'f'], [3, 'o'];
    my $change = $self->_activation($gates[2], $self->{activation}, name => "${name}c");
    my $state = AI::MXNet::Symbol->elemwise_add($forget * $states->[1], $in * $change, name => "${name}state");
    my $output =
        AI::MXNet::Symbol->elemwise_mul($out, $self->_activation($state, $self->{activation}), name => "${name}out");
    return ($output, [$output, $state]);
}

package AI::MXNet::RNN::GRUCell;    ## no critic (ProhibitMultiplePackages)
use strict;
use warnings;

our @ISA = ('AI::MXNet::RNN::Cell');    ## no critic (ProhibitExplicitISA)

sub _arguments { return ($_[0]->SUPER::_arguments, prefix => 'gru_') }
sub _gate_names { return [qw(_r _z _o)] }

sub call
{
    my ($self, $input, $states) = @_;
    my $name = $self->_step;
    my ($i2h, $h2h) = $self->_products($input, $states->[0], $name);
    my @i2h = @{ AI::MXNet::Symbol->SliceChannel($i2h, num_outputs => 3, name => "${name}i2h_slice") };
    my @h2h = @{ AI::MXNet::Symbol->SliceChannel($h2h, num_outputs => 3, name => "${name}h2h_slice") };
    my $reset = $self->_activation($i2h[0] + $h2h[0], 'sigmoid', name => "${name}r_act");
    my $update = $self->_activation($i2h[1] + $h2h[1], 'sigmoid', name => "${name}z_act");
    my $change = $self->_activation($i2h[2] + $reset * $h2h[2], $self->{activation}, name => "${name}h_act");
    my $output =
        AI::MXNet::Symbol->elemwise_add((1 - $update) * $change, $update * $states->[0], name => "${name}out");
    return ($output, [$output]);
}

1;
