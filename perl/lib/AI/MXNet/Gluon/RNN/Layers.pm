package AI::MXNet::Gluon::RNN::Layers;
use 5.014;
use strict;
use warnings;

# Recurrent layers that run all steps in one operator.

package AI::MXNet::Gluon::RNN::Layer;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::HybridBlock;
use AI::MXNet::Gluon::RNN::Cells;
use AI::MXNet::Gluon::Mouse;
use AI::MXNet::Function::Parameters;
use Scalar::Util qw(blessed);
extends 'AI::MXNet::Gluon::HybridBlock';

has hidden_size => (is => 'ro', isa => 'DimSize', required => 1);
has num_layers => (is => 'ro', isa => 'DimSize', default => 1);
has layout => (is => 'ro', isa => 'Str', default => 'TNC');
has dropout => (is => 'ro', isa => 'Dropout', default => 0);
has bidirectional => (is => 'ro', isa => 'Bool', default => 0);
has input_size => (is => 'ro', isa => 'DimSize', default => 0);
has [qw(i2h_weight_initializer h2h_weight_initializer h2r_weight_initializer)] =>
    (is => 'ro', isa => 'Maybe[Initializer]');
has [qw(i2h_bias_initializer h2h_bias_initializer)] => (is => 'ro', isa => 'Maybe[Initializer]', default => 'zeros');
has projection_size => (is => 'ro', isa => 'Maybe[DimSize]');

sub python_constructor_arguments
{
    return [
        qw(hidden_size num_layers layout dropout bidirectional input_size i2h_weight_initializer h2h_weight_initializer
            i2h_bias_initializer h2h_bias_initializer)
    ];
}

# Where the parameters of a layer and direction go, in the order of the operator's vector.
sub _directions { return $_[0]{bidirectional} ? qw(l r) : 'l' }

sub _parts
{
    my $self = shift;
    my @parts;
    for my $kind (qw(weight bias)) {
        for my $layer (0 .. $self->{num_layers} - 1) {
            for my $direction ($self->_directions) {
                push @parts, map { "$direction${layer}_${_}_$kind" } qw(i2h h2h),
                    $self->{projection_size} && $kind eq 'weight' ? 'h2r' : ();
            }
        }
    }
    return @parts;
}

sub BUILD
{
    my $self = shift;
    AI::MXNet::Keshi::fail("Invalid layout [@{[$self->layout]}]; must be one of ['TNC' or 'NTC']")
        if $self->layout !~ /^(?:TNC|NTC)$/;
    my ($hidden, $projected) = @$self{qw(hidden_size projection_size)};
    my $rows = $self->gates * $hidden;
    my $step = $projected || $hidden;
    my $inputs = $self->{input_size};
    for my $layer (0 .. $self->{num_layers} - 1) {
        for my $direction ($self->_directions) {
            my @shapes = (
                i2h_weight => [$rows, $inputs],
                h2h_weight => [$rows, $step],
                $projected ? (h2r_weight => [$projected, $hidden]) : (),
                i2h_bias => [$rows],
                h2h_bias => [$rows],
            );
            while (my ($name, $shape) = splice @shapes, 0, 2) {
                my $full = "$direction${layer}_$name";
                $self->$full(
                    $self->params->get(
                        $full,
                        shape => $shape,
                        init => $self->{"${name}_initializer"},
                        allow_deferred_init => 1
                    )
                );
            }
        }
        $inputs = $step * ($self->{bidirectional} ? 2 : 1);
    }
    return;
}

# The first layer's width, and so those of all, from the input.
sub infer_shape
{
    my ($self, $x) = @_;
    my $inputs = $x->shape->[2];
    my $step = $self->{projection_size} || $self->{hidden_size};
    my $rows = $self->gates * $self->{hidden_size};
    for my $layer (0 .. $self->{num_layers} - 1) {
        $self->{_reg_params}->get("${_}${layer}_i2h_weight")->shape([$rows, $inputs]) for $self->_directions;
        $inputs = $step * ($self->{bidirectional} ? 2 : 1);
    }
    return;
}

sub state_info
{
    my ($self, $batch_size) = @_;
    my @first = ($self->{num_layers} * ($self->{bidirectional} ? 2 : 1), $batch_size // 0);
    my @sizes = $self->_state_sizes;
    return [map { +{ shape => [@first, $_], __layout__ => 'LNC' } } @sizes];
}

sub _state_sizes { return $_[0]{hidden_size} }

method begin_state(Int : $batch_size = 0, Maybe [CodeRef] : $func =, %kwargs) {
    my $i = 0;
    return [
        map { AI::MXNet::Gluon::RNN::Recurrent::_make_state($func, name => $self->prefix . 'h0_' . $i++, %$_, %kwargs) }
            @{ $self->state_info($batch_size) }
    ];
}
around begin_state => \&AI::MXNet::Gluon::RNN::Recurrent::_batch_size_first;

# Without states it begins with zeros and returns the outputs alone.
sub forward
{
    my ($self, $x, $states) = @_;
    my $alone = !defined $states || ref $states eq 'ARRAY' && !@$states;
    if (blessed($x) and $x->isa('AI::MXNet::NDArray')) {
        AI::MXNet::Keshi::fail(
            $self->class . ": inputs got shape (@{[join ',', @{ $x->shape }]}), want three axes, $self->{layout}")
            if $x->ndim != 3;
        my $batch_size = $x->shape->[index $self->{layout}, 'N'];
        if ($alone) { $states = $self->begin_state($batch_size, ctx => $x->context, dtype => $x->dtype) }
        else { $states = $self->_checked($states, $batch_size) }
    } elsif ($alone) {
        $states = $self->begin_state(0, func => AI::MXNet::Symbol->can('zeros'));
    } elsif (ref $states ne 'ARRAY') {
        $states = [$states];
    }
    my @out = $self->SUPER::forward($x, $states);
    @out = @{ $out[0] } if ref $out[0] eq 'ARRAY';
    return $out[0] if $alone;
    return $self->{_active} && blessed($x) && $x->isa('AI::MXNet::NDArray') ? @out : \@out;
}

sub _checked
{
    my ($self, $states, $batch_size) = @_;
    $states = [$states] if ref $states ne 'ARRAY';
    my $info = $self->state_info($batch_size);
    for my $i (0 .. $#$info) {
        my ($want, $got) = ("@{ $info->[$i]{shape} }", defined $states->[$i] ? "@{ $states->[$i]->shape }" : 'none');
        AI::MXNet::Keshi::fail("Invalid recurrent state shape. Expecting $want, got $got.") if $want ne $got;
    }
    return $states;
}

sub hybrid_forward
{
    my ($self, $F, $x, $states, %param) = @_;
    my $swapped = $self->{layout} eq 'NTC';
    $x = $F->swapaxes($x, dim1 => 0, dim2 => 1) if $swapped;
    my $vector = $F->_rnn_param_concat((map { $param{$_}->reshape([-1]) } $self->_parts), dim => 0);
    my $y = $F->RNN(
        $x, $vector, @$states,
        state_size => $self->{hidden_size},
        num_layers => $self->{num_layers},
        bidirectional => $self->{bidirectional} ? 1 : 0,
        p => $self->{dropout},
        state_outputs => 1,
        mode => $self->_mode,
        $self->{projection_size} ? (projection_size => $self->{projection_size}) : (),
        $self->_more_params
    );
    my $output = $swapped ? $F->swapaxes($y->[0], dim1 => 0, dim2 => 1) : $y->[0];
    return [$output, [map { $y->[$_] } 1 .. @$states]];
}

sub _more_params { return }

# In files the parameters are those of the cells that would do the same.
sub _collect_params_with_prefix
{
    my ($self, $prefix) = @_;
    $prefix = defined $prefix && length $prefix ? "$prefix." : '';
    my $found = Hash::Ordered->new;
    for my $name ($self->{_reg_params}->keys) {
        my ($direction, $layer, $rest) = $name =~ /^([lr])(\d+)_(\w+)$/;
        my $cell = $self->{bidirectional} ? "${direction}_cell." : '';
        $found->set("${prefix}_unfused.$layer.$cell$rest", $self->{_reg_params}->get($name));
    }
    return $found;
}

sub _text
{
    my $self = shift;
    my @parts = (
        ($self->{input_size} ? "$self->{input_size} -> " : '') . $self->{hidden_size},
        $self->{layout},
        $self->{num_layers} != 1 ? "num_layers=$self->{num_layers}" : (),
        $self->{dropout} != 0 ? "dropout=$self->{dropout}" : (),
        $self->{bidirectional} ? 'bidirectional' : ()
    );
    return $self->class . '(' . join(', ', @parts) . ')';
}

package AI::MXNet::Gluon::RNN::RNN;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::RNN::Layer';

has activation => (is => 'ro', isa => 'Str', default => 'relu');

sub python_constructor_arguments
{
    my ($size, $layers, @rest) = @{ shift->SUPER::python_constructor_arguments };
    return [$size, $layers, 'activation', @rest];
}

sub gates { return 1 }
sub _mode { return "rnn_$_[0]{activation}" }

__PACKAGE__->register('AI::MXNet::Gluon::RNN');

package AI::MXNet::Gluon::RNN::LSTM;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::RNN::Layer';

has [qw(lstm_state_clip_min lstm_state_clip_max)] => (is => 'ro', isa => 'Maybe[Num]');
has lstm_state_clip_nan => (is => 'ro', isa => 'Bool', default => 0);

sub gates { return 4 }
sub _mode { return 'lstm' }
sub _state_sizes { return ($_[0]{projection_size} || $_[0]{hidden_size}, $_[0]{hidden_size}) }

sub _more_params
{
    my $self = shift;
    return ((map { defined $self->{$_} ? ($_ => $self->{$_}) : () } qw(lstm_state_clip_min lstm_state_clip_max)),
        $self->{lstm_state_clip_nan} ? (lstm_state_clip_nan => 1) : ());
}

__PACKAGE__->register('AI::MXNet::Gluon::RNN');

package AI::MXNet::Gluon::RNN::GRU;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::RNN::Layer';

sub gates { return 3 }
sub _mode { return 'gru' }

__PACKAGE__->register('AI::MXNet::Gluon::RNN');

1;
