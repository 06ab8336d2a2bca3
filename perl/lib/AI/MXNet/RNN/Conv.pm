package AI::MXNet::RNN::ConvCell;
use 5.014;
use strict;
use warnings;
use AI::MXNet::RNN::Cells;

# Cells whose products are convolutions.

our @ISA = ('AI::MXNet::RNN::Cell');    ## no critic (ProhibitExplicitISA)

sub _shared_arguments
{
    my ($prefix) = @_;
    return (
        'num_hidden',
        num_hidden => undef,
        input_shape => undef,
        prefix => $prefix,
        params => undef,
        forget_bias => 1,
        (map { ("${_}_kernel" => [3, 3], "${_}_dilate" => [1, 1]) } qw(i2h h2h)),
        i2h_stride => [1, 1],
        i2h_pad => [1, 1],
        conv_layout => 'NCHW',
        layout => 'NCHW',
        activation => sub { AI::MXNet::Symbol->LeakyReLU(shift, act_type => 'leaky', slope => 0.2, @_) },
    );
}
sub _arguments { return _shared_arguments('ConvRNN_') }

sub BUILD
{
    my $self = shift;
    my ($kernel, $dilate) = @{$self}{qw(h2h_kernel h2h_dilate)};
    AI::MXNet::RNN::Base::_fail("Only support odd number, got h2h_kernel= (@$kernel)") if grep { $_ % 2 == 0 } @$kernel;
    $self->{h2h_pad} = [map { $dilate->[$_] * ($kernel->[$_] - 1) / 2 } 0 .. $#$kernel];
    my $one = AI::MXNet::Symbol->Convolution(
        AI::MXNet::Symbol->Variable('data'),
        $self->_convolution('i2h', $self->{num_hidden}),
        name => 'shape'
    );
    my (undef, $shapes) = $one->infer_shape(data => $self->{input_shape});
    $self->{state_shape} = [0, @{ $shapes->[0] }[1 .. $#{ $shapes->[0] }]];
    return $self->SUPER::BUILD;
}

sub _input_shape { return $_[0]{input_shape} }

# Two states are listed, of which the plain cell and GRU use one.
sub state_info
{
    my $self = shift;
    return [map { +{ shape => $self->{state_shape}, __layout__ => $self->{conv_layout} } } 1 .. 2];
}

sub _convolution
{
    my ($self, $of, $filters) = @_;
    return (
        num_filter => $filters,
        layout => $self->{conv_layout},
        map { defined $self->{"${of}_$_"} ? ($_ => $self->{"${of}_$_"}) : () } qw(kernel stride pad dilate)
    );
}

sub _products
{
    my ($self, $input, $state, $name) = @_;
    my $filters = $self->{num_hidden} * @{ $self->_gate_names };
    my $product = sub {
        my ($data, $of) = @_;
        return AI::MXNet::Symbol->Convolution(
            data => $data,
            weight => $self->{"${of}_weight"},
            bias => $self->{"${of}_bias"},
            name => "$name$of",
            $self->_convolution($of, $filters)
        );
    };
    return ($product->($input, 'i2h'), $product->($state, 'h2h'));
}

package AI::MXNet::RNN::ConvLSTMCell;    ## no critic (ProhibitMultiplePackages)
use strict;
use warnings;

# Products are convolutions, all else is LSTM.
our @ISA = ('AI::MXNet::RNN::ConvCell');    ## no critic (ProhibitExplicitISA)

sub _arguments { return AI::MXNet::RNN::ConvCell::_shared_arguments('ConvLSTM_') }
*_bias_init = \&AI::MXNet::RNN::LSTMCell::_bias_init;
*_gate_names = \&AI::MXNet::RNN::LSTMCell::_gate_names;
*call = \&AI::MXNet::RNN::LSTMCell::call;

package AI::MXNet::RNN::ConvGRUCell;        ## no critic (ProhibitMultiplePackages)
use strict;
use warnings;

our @ISA = ('AI::MXNet::RNN::ConvCell');    ## no critic (ProhibitExplicitISA)

sub _arguments { return AI::MXNet::RNN::ConvCell::_shared_arguments('ConvGRU_') }
*_gate_names = \&AI::MXNet::RNN::GRUCell::_gate_names;
*call = \&AI::MXNet::RNN::GRUCell::call;

1;
