package AI::MXNet::Contrib::ONNX::Recurrent;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::NDArray;
use AI::MXNet::Symbol;
use List::Util ();

# Recurrent layers as files have them and as RNN does: there a node for each layer, weights as tensors of (directions, gates, width), and
# outputs of (steps, directions, batch, hidden); here all layers at once, one vector of all weights and then all biases, and outputs of
# (steps, batch, directions * hidden). Both orders of gates are here alone.

sub _fail { return AI::MXNet::Keshi::fail(@_) }

# By mode: ONNX's operator, its gates by their places among MXNet's, activations, other attributes.
my %KIND = (
    lstm => ['LSTM', [0, 3, 1, 2], [qw(Sigmoid Tanh Tanh)]],
    gru => ['GRU', [1, 0, 2], [qw(Sigmoid Tanh)], linear_before_reset => 1],
    rnn_tanh => ['RNN', [0], ['Tanh']],
    rnn_relu => ['RNN', [0], ['Relu']],
);

# The rows of each gate, in that order, as a vector.
sub _gates
{
    my ($rows, $order) = @_;
    my $gates = $rows->reshape([scalar @$order, -1]);
    return AI::MXNet::NDArray->take($gates, AI::MXNet::NDArray->array($order))->reshape([-1]);
}

sub _joined { return @_ > 1 ? AI::MXNet::NDArray->concat(@_, dim => 0) : $_[0] }

# -- out

# Adds a node for each layer of RNN.
sub write_layers
{
    my ($self, $n) = @_;
    my ($p, $name) = @$n{qw(p name)};
    my ($x, $vector, @states) = @{ $n->{inputs} };
    my ($op, $order, $activations, %more) = @{ $KIND{ $p->{mode} } };
    my ($hidden, $layers) = @$p{qw(state_size num_layers)};
    my $is_set = sub { ($p->{ $_[0] } // '') !~ /^(?:|0|false|none)$/i };
    for my $refused (qw(projection_size lstm_state_clip_min lstm_state_clip_max)) {
        _fail("export_model: RNN $name with $refused is not supported") if $is_set->($refused);
    }
    my $lengths = '';
    $lengths = $self->cast(pop @states, "${name}_lengths", 'int32') if $is_set->('use_sequence_length');
    push @{ $n->{outputs} }, map { "${name}_last$_" } 0 .. $#states if $is_set->('state_outputs');
    my $directions = $is_set->('bidirectional') ? 2 : 1;
    my ($numbers, $at) = ($self->known($vector), 0);
    my $rows = @$order * $hidden;

    # The next rows of the vector, gates in ONNX's order.
    my $take = sub {
        my $width = shift;
        my $part = $numbers->slice([$at, $at + $rows * $width - 1]);
        $at += $rows * $width;
        return _gates($part, $order);
    };
    my $save = sub {
        my ($called, $shape, @parts) = @_;
        return $self->tensor($called, _joined(@parts), [$directions, @$shape]);
    };
    my $width = $self->shape_of($x)->[2];
    my @inputs;
    for my $layer (0 .. $layers - 1) {
        my (@w, @r);
        for (1 .. $directions) { push @w, $take->($width); push @r, $take->($hidden) }
        $inputs[$layer] =
            [$save->("${name}_w$layer", [$rows, $width], @w), $save->("${name}_r$layer", [$rows, $hidden], @r)];
        $width = $hidden * $directions;
    }
    my @last;
    for my $layer (0 .. $layers - 1) {
        my @b = map { $take->(1) } 1 .. 2 * $directions;
        my $here = "${name}_layer$layer";
        my @begin =
            map { $self->slice($_, "${here}_begin_$_", 0, $layer * $directions, ($layer + 1) * $directions) } @states;
        my @outputs = map { "${here}_$_" } qw(y h c) [0 .. @states];
        $self->add(
            $op, [$x, @{ $inputs[$layer] }, $save->("${name}_b$layer", [2 * $rows], @b), $lengths, @begin], \@outputs,
            hidden_size => $hidden,
            direction => $directions > 1 ? 'bidirectional' : 'forward',
            activations => { strings => [(@$activations) x $directions] },
            %more
        );
        push @{ $last[$_] }, $outputs[1 + $_] for 0 .. $#states;
        $x = $self->add('Transpose', [$outputs[0]], "${here}_turned", perm => [0, 2, 1, 3]);
        my $out = $layer == $layers - 1 ? $n->{outputs}[0] : "${here}_out";
        $x = $self->add('Reshape', [$x, $self->whole("${here}_shape", 0, 0, -1)], $out);
    }
    $self->add('Concat', $last[$_], $n->{outputs}[1 + $_], axis => 0) for 0 .. $#{ $n->{outputs} } - 1;
    return;
}

# -- in

# RNN's mode for a node; what RNN does not compute is an error.
sub _mode
{
    my ($n, $directions) = @_;
    my ($op, $a) = @$n{qw(op a)};
    my $refuse = sub { _fail("import_model: $op $n->{name} with $_[0]") };
    my $given = join ' ', map { ucfirst lc } @{ $a->{activations} // [] };
    my ($mode) =
        grep { $KIND{$_}[0] eq $op and !length $given || $given eq join ' ', (@{ $KIND{$_}[2] }) x $directions }
        qw(lstm gru rnn_tanh rnn_relu);
    $refuse->("activations $given is not supported") if not $mode;
    for my $attribute (qw(clip activation_alpha activation_beta)) {
        $refuse->("$attribute is not supported") if defined $a->{$attribute};
    }
    $refuse->("layout $a->{layout} is not supported, want 0") if $a->{layout};
    $refuse->('input_forget is not supported') if $a->{input_forget};
    $refuse->('linear_before_reset 0 is not supported, want 1') if $op eq 'GRU' and !$a->{linear_before_reset};
    return $mode;
}

# The vector of a layer: of each direction W and R, then of each direction both biases.
sub _vector
{
    my ($self, $n, $order, $directions) = @_;
    my @back;
    @back[@$order] = 0 .. $#$order;
    my ($w, $r) = map { $self->tensor_of($n, $_) } 1, 2;
    my @weights = map {
        my $d = $_;
        map { _gates($_->at($d), \@back) } $w, $r
    } 0 .. $directions - 1;
    my $count = 2 * $w->shape->[1];
    my $b =
        length($n->{names}[3] // '') ? $self->tensor_of($n, 3) : $w->zeros([$directions, $count], dtype => $w->dtype);
    return _joined(@weights, map { _gates($_, \@back) } map { @{ $_->reshape([2, -1]) } } @$b);
}

# A node as RNN of one layer: what it puts out at each step, and its last states.
sub read_layer
{
    my ($self, $n) = @_;
    my ($name, $sym) = ($n->{name}, 'AI::MXNet::Symbol');
    my ($x, undef, undef, undef, $lengths, @begin) = map { $self->input($n, $_) } 0 .. 6;
    my $direction = $n->{a}{direction} // 'forward';
    my $directions = $direction eq 'bidirectional' ? 2 : 1;
    my $mode = _mode($n, $directions);
    _fail("import_model: LSTM $name with peepholes is not supported") if grep { $_ } $self->numbers($n, 7);
    my $vector = $self->add("${name}_parameters", _vector($self, $n, $KIND{$mode}[1], $directions));
    my $hidden = $n->{a}{hidden_size} // $self->tensor_of($n, 2)->shape->[2];

    # A state that is not given begins as 0.
    my $step = $sym->slice_axis($x, axis => 0, begin => 0, end => 1);
    my $zeros = sub {
        my $one = $sym->zeros_like($sym->slice_axis($step, axis => 2, begin => 0, end => 1));
        return $sym->broadcast_axis($one, axis => [0, 2], size => [$directions, $hidden]);
    };
    my @states = map { $begin[$_] // $zeros->() } 0 .. ($mode eq 'lstm' ? 1 : 0);
    my ($has_lengths, @lengths) = $lengths ? (1, $lengths) : (0);
    my $turned = sub {
        my $all = shift;
        return $all if $direction ne 'reverse';
        return $sym->SequenceReverse($all, @lengths, use_sequence_length => $has_lengths);
    };
    my $all = $sym->RNN(
        $turned->($x), $vector, @states, @lengths,
        use_sequence_length => $has_lengths,
        mode => $mode,
        state_size => $hidden,
        num_layers => 1,
        bidirectional => $directions - 1,
        state_outputs => 1,
        name => $name
    );
    my ($y, @last) = @$all;
    $y = $turned->($y);
    return ($sym->expand_dims($y, axis => 1), @last) if $directions == 1;
    return ($sym->transpose($sym->Reshape($y, shape => [0, 0, $directions, -1]), axes => [0, 2, 1, 3]), @last);
}

1;
