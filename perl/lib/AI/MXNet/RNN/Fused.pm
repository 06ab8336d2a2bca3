package AI::MXNet::RNN::FusedCell;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Initializer;
use AI::MXNet::NDArray;
use AI::MXNet::RNN::Cells;
use AI::MXNet::RNN::Combined;

# All layers and steps in one operator, with one vector of parameters.

our @ISA = ('AI::MXNet::RNN::Base');    ## no critic (ProhibitExplicitISA)

my %gates = (rnn_relu => [''], rnn_tanh => [''], lstm => [qw(_i _f _c _o)], gru => [qw(_r _z _o)]);

sub _arguments
{
    return (
        'num_hidden',
        num_hidden => undef,
        num_layers => 1,
        dropout => 0,
        get_next_state => 0,
        bidirectional => 0,
        mode => 'lstm',
        prefix => undef,
        params => undef,
        forget_bias => 1,
        initializer => undef,
    );
}

sub new
{
    my ($class, @args) = @_;
    unshift @args, 'num_hidden' if @args % 2;
    my %given = @args;
    # The parameters have no prefix that was not given.
    my $params = $given{params} // AI::MXNet::RNN::Params->new($given{prefix} // '');
    return $class->SUPER::new(%given, params => $params);
}

sub BUILD
{
    my $self = shift;
    AI::MXNet::RNN::Base::_fail("FusedRNNCell: mode got $self->{mode}, want one of " . join ' ', sort keys %gates)
        if not $gates{ $self->{mode} };
    $self->{prefix} = "$self->{mode}_" if not length($self->{prefix} // '');
    my %shape = map { $_ => $self->{$_} } qw(num_hidden num_layers mode bidirectional forget_bias);
    $self->{parameter} =
        $self->{params}->get('parameters', init => AI::MXNet::FusedRNN->new(init => $self->{initializer}, %shape));
    return;
}

sub _gate_names { return $gates{ $_[0]{mode} } }
sub _directions { return $_[0]{bidirectional} ? qw(l r) : ('l') }

sub state_info
{
    my $self = shift;
    my $rows = $self->{num_layers} * ($self->{bidirectional} ? 2 : 1);
    return [map { +{ shape => [$rows, 0, $self->{num_hidden}], __layout__ => 'LNC' } }
            1 .. ($self->{mode} eq 'lstm' ? 2 : 1)];
}

sub call { return AI::MXNet::RNN::Base::_fail('FusedRNNCell cannot be stepped. Please use unroll') }

sub unroll
{
    my ($self, @args) = @_;
    my ($length, $arg) = $self->_unroll_arguments(@args);
    $self->reset;
    my ($inputs, $layout) = @{$arg}{qw(inputs layout)};
    my $axis = AI::MXNet::RNN::Base::time_axis($layout);
    $inputs //= AI::MXNet::Symbol->Variable("$arg->{input_prefix}data");
    $inputs = AI::MXNet::RNN::Base::merge_steps($inputs, $layout) if ref $inputs eq 'ARRAY';
    $inputs = AI::MXNet::Symbol->SwapAxis($inputs, dim1 => 0, dim2 => 1) if $axis == 1;
    my $states = $arg->{begin_state} // $self->begin_state;
    my %states = (state => $states->[0], @$states > 1 ? (state_cell => $states->[1]) : ());
    my $rnn = AI::MXNet::Symbol->RNN(
        data => $inputs,
        parameters => $self->{parameter},
        %states,
        state_size => $self->{num_hidden},
        num_layers => $self->{num_layers},
        bidirectional => $self->{bidirectional} ? 1 : 0,
        p => $self->{dropout},
        state_outputs => $self->{get_next_state} ? 1 : 0,
        mode => $self->{mode},
        name => "$self->{prefix}rnn",
    );
    my ($outputs, @next) = $self->{get_next_state} ? @$rnn : ($rnn);
    $outputs = AI::MXNet::Symbol->SwapAxis($outputs, dim1 => 0, dim2 => 1) if $axis == 1;
    $outputs = AI::MXNet::RNN::Base::split_steps($length, $outputs, $layout)
        if defined $arg->{merge_outputs} and not $arg->{merge_outputs};
    return ($outputs, \@next);
}

# -- the vector

# Names, shapes and places of the parts of the vector for inputs of a width.
sub _parts
{
    my ($self, $width) = @_;
    my ($h, @directions) = ($self->{num_hidden}, $self->_directions);
    my ($at, @parts) = (0);
    for my $kind (qw(weight bias)) {
        for my $layer (0 .. $self->{num_layers} - 1) {
            for my $direction (@directions) {
                for my $of (qw(i2h h2h)) {
                    my $columns = $of eq 'h2h' ? $h : $layer ? $h * @directions : $width;
                    my $shape = $kind eq 'weight' ? [$h, $columns] : [$h];
                    for my $gate (@{ $self->_gate_names }) {
                        my $size = $kind eq 'weight' ? $h * $columns : $h;
                        push @parts,
                            ["$self->{prefix}$direction${layer}_$of${gate}_$kind", $shape, $at, $at + $size - 1];
                        $at += $size;
                    }
                }
            }
        }
    }
    return ($at, @parts);
}

sub _vector_name { my $self = shift; return $self->{parameter}->name }

sub unpack_weights
{
    my ($self, $args) = @_;
    my %args = %$args;
    my $vector = delete $args{ $self->_vector_name }
        // AI::MXNet::RNN::Base::_fail($self->_vector_name . ' is missing');
    my ($h, $layers, $b, $m) =
        ($self->{num_hidden}, $self->{num_layers}, scalar($self->_directions), scalar @{ $self->_gate_names });
    $b = $self->{bidirectional} ? 2 : 1;
    my $width = $vector->size / $b / $h / $m - ($layers - 1) * ($h + $b * $h + 2) - $h - 2;
    my (undef, @parts) = $self->_parts($width);
    $args{ $_->[0] } = $vector->slice([@{$_}[2, 3]])->reshape($_->[1])->copy for @parts;
    return \%args;
}

sub pack_weights
{
    my ($self, $args) = @_;
    my %args = %$args;
    my $first = $args{ "$self->{prefix}l0_i2h" . $self->_gate_names->[0] . '_weight' };
    AI::MXNet::RNN::Base::_fail("$self->{prefix}l0_i2h weights are missing") if not defined $first;
    my ($size, @parts) = $self->_parts($first->shape->[1]);
    my $vector = AI::MXNet::NDArray->zeros([$size], ctx => $first->context, dtype => $first->dtype);
    for my $part (@parts) {
        my $value = delete $args{ $part->[0] } // AI::MXNet::RNN::Base::_fail("$part->[0] is missing");
        $vector->slice([@{$part}[2, 3]]) .= $value->reshape([-1]);
    }
    $args{ $self->_vector_name } = $vector;
    return \%args;
}

# The same layers as cells that step.
sub unfuse
{
    my $self = shift;
    my %cell = (
        rnn_relu => sub { AI::MXNet::RNN::Cell->new($self->{num_hidden}, activation => 'relu', prefix => $_[0]) },
        rnn_tanh => sub { AI::MXNet::RNN::Cell->new($self->{num_hidden}, activation => 'tanh', prefix => $_[0]) },
        lstm => sub { AI::MXNet::RNN::LSTMCell->new($self->{num_hidden}, prefix => $_[0]) },
        gru => sub { AI::MXNet::RNN::GRUCell->new($self->{num_hidden}, prefix => $_[0]) },
    );
    my ($make, $prefix, $stack) = ($cell{ $self->{mode} }, $self->{prefix}, AI::MXNet::RNN::SequentialCell->new);
    for my $layer (0 .. $self->{num_layers} - 1) {
        my $cell = $make->("${prefix}l${layer}_");
        $cell = AI::MXNet::RNN::BidirectionalCell->new(
            $cell,
            $make->("${prefix}r${layer}_"),
            output_prefix => "${prefix}bi_$self->{mode}_$layer"
        ) if $self->{bidirectional};
        $cell = AI::MXNet::RNN::DropoutCell->new($cell, dropout_outputs => $self->{dropout})
            if $self->{dropout} > 0 and $layer < $self->{num_layers} - 1;
        $stack->add($cell);
    }
    return $stack;
}

1;
