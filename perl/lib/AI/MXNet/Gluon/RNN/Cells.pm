package AI::MXNet::Gluon::RNN::Cells;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Gluon::HybridBlock;

# One step of a recurrent network, and the running of many steps.

# -- sequences: one array or symbol, or a list of them for the steps

package AI::MXNet::Gluon::RNN::Sequence;    ## no critic (ProhibitMultiplePackages)
use Scalar::Util qw(blessed);

sub is_tensor { return blessed($_[0]) && $_[0]->isa('AI::MXNet::NDArray') || is_symbol($_[0]) }
sub is_symbol { return blessed($_[0]) && $_[0]->isa('AI::MXNet::Symbol') }

sub class_of
{
    my $inputs = shift;
    return is_symbol(is_tensor($inputs) ? $inputs : $inputs->[0]) ? 'AI::MXNet::Symbol' : 'AI::MXNet::NDArray';
}

sub time_axis { return index $_[0], 'T' }

sub batch_size
{
    my ($inputs, $layout) = @_;
    return 0 if class_of($inputs) eq 'AI::MXNet::Symbol';
    return is_tensor($inputs) ? $inputs->shape->[index $layout, 'N'] : $inputs->[0]->shape->[0];
}

# The list of the steps.
sub steps
{
    my ($length, $inputs, $layout) = @_;
    my $axis = time_axis($layout);
    if (not is_tensor($inputs)) {
        _wrong_length($length, scalar @$inputs) if @$inputs != $length;
        return [@$inputs];
    }
    if (is_symbol($inputs)) {
        AI::MXNet::Keshi::fail(
                  "unroll doesn't allow grouped symbol as input. Please convert to list first or let unroll "
                . 'handle splitting.')
            if @{ $inputs->list_outputs } != 1;
        my $split = AI::MXNet::Symbol->SliceChannel($inputs, axis => $axis, num_outputs => $length, squeeze_axis => 1);
        return [@$split];
    }
    my $there = $inputs->shape->[$axis];
    _wrong_length($length, $there) if $there != $length;
    my $split = $inputs->SliceChannel(axis => $axis, num_outputs => $length, squeeze_axis => 1);
    return ref $split eq 'ARRAY' ? $split : [$split];
}

sub _wrong_length
{
    my ($length, $there) = @_;
    return AI::MXNet::Keshi::fail("unroll: got $there steps, want $length");
}

# What is not asked for either way is left as it was made: steps, and one tensor where a valid length masks them.
sub is_merged
{
    my ($merge_outputs, $valid_length) = @_;
    return $merge_outputs // defined $valid_length;
}

# One tensor of the steps.
sub merged
{
    my ($steps, $layout) = @_;
    return $steps if is_tensor($steps);
    return class_of($steps)->stack(@$steps, axis => time_axis($layout));
}

# Zeros for the steps beyond the valid length of each sequence.
sub masked
{
    my ($steps, $layout, $valid_length) = @_;
    my $F = class_of($steps);
    my $length = @$steps;
    my $all = $F->stack(@$steps, axis => 0);
    my $kept = $F->SequenceMask($all, $valid_length, use_sequence_length => 1, axis => 0);
    return steps($length, $kept, 'TNC');
}

# The steps from the last valid one to the first.
sub reversed
{
    my ($steps, $valid_length) = @_;
    return [reverse @$steps] if not defined $valid_length;
    my $F = class_of($steps);
    my $all = $F->SequenceReverse($F->stack(@$steps, axis => 0), $valid_length, use_sequence_length => 1);
    return steps(scalar @$steps, $all, 'TNC');
}

# -- what all cells share

package AI::MXNet::Gluon::RNN::Recurrent;    ## no critic (ProhibitMultiplePackages)
use Mouse::Role;
use AI::MXNet::Function::Parameters;

sub reset                                    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    $self->{_init_counter} = $self->{_step_counter} = -1;
    $_->reset for $self->{_children}->values;
    return;
}

sub state_info { return [] }

# Subs that make states are called with names and values, methods of arrays and symbols as such.
sub _make_state
{
    my ($func, %arg) = @_;
    my $zeros = sub {
        delete $arg{__layout__};
        my $shape = delete $arg{shape};
        delete $arg{name};
        return AI::MXNet::NDArray->zeros($shape, %arg);
    };
    return $zeros->() if not defined $func or $func == (AI::MXNet::NDArray->can('zeros') // 0);
    for my $name (qw(zeros ones)) {
        return AI::MXNet::Symbol->$name(map { ($_ => $arg{$_}) } qw(name shape))
            if $func == (AI::MXNet::Symbol->can($name) // 0);
    }
    for my $name (qw(var Variable)) {
        return AI::MXNet::Symbol->$name(delete $arg{name}, %arg) if $func == (AI::MXNet::Symbol->can($name) // 0);
    }
    return $func->(%arg);
}

# The size of the batch may stand first, without its name.
sub _batch_size_first
{
    my ($begin_state, $self, @args) = @_;
    return $self->$begin_state(@args % 2 ? (batch_size => @args) : @args);
}

method begin_state(Int : $batch_size = 0, Maybe [CodeRef] : $func =, %kwargs) {
    $self->_check_not_modified;
    return [
        map {
            AI::MXNet::Gluon::RNN::Recurrent::_make_state(
                $func,
                name => sprintf('%sbegin_state_%d', $self->prefix, ++$self->{_init_counter}),
                %$_, %kwargs
            )
        } @{ $self->state_info($batch_size) }
    ];
}
around begin_state => \&AI::MXNet::Gluon::RNN::Recurrent::_batch_size_first;

sub _check_not_modified
{
    my $self = shift;
    AI::MXNet::Keshi::fail(
'After applying modifier cells (e.g. ZoneoutCell) the base cell cannot be called directly. Call the modifier cell '
            . 'instead.')
        if $self->{_modified};
    return;
}

# States for inputs like these.
sub _first_states
{
    my ($self, $inputs, $layout) = @_;
    my $batch_size = AI::MXNet::Gluon::RNN::Sequence::batch_size($inputs, $layout);
    return $self->begin_state(batch_size => $batch_size, func => AI::MXNet::Symbol->can('zeros'))
        if AI::MXNet::Gluon::RNN::Sequence::class_of($inputs) eq 'AI::MXNet::Symbol';
    my $one = ref $inputs eq 'ARRAY' ? $inputs->[0] : $inputs;
    return $self->begin_state(batch_size => $batch_size, ctx => $one->context, dtype => $one->dtype);
}

method unroll(
    Int $length, $inputs,
    Maybe [ArrayRef] : $begin_state =,
    Str : $layout = 'NTC',
    Maybe [Bool] : $merge_outputs =,
    : $valid_length =)
{
    $self->reset;
    my $states = $begin_state // $self->_first_states($inputs, $layout);
    my (@outputs, @all_states);
    for my $input (@{ AI::MXNet::Gluon::RNN::Sequence::steps($length, $inputs, $layout) }) {
        (my $output, $states) = $self->call($input, $states);
        push @outputs, $output;
        push @all_states, $states if defined $valid_length;
    }
    my $outputs = \@outputs;
    if (defined $valid_length) {
        my $F = AI::MXNet::Gluon::RNN::Sequence::class_of($outputs);
        $states = [
            map {
                my $i = $_;
                my $all = $F->stack((map { $_->[$i] } @all_states), axis => 0);
                $F->SequenceLast($all, $valid_length, use_sequence_length => 1, axis => 0)
            } 0 .. $#$states
        ];
        $outputs = AI::MXNet::Gluon::RNN::Sequence::masked($outputs, $layout, $valid_length);
    }
    $outputs = AI::MXNet::Gluon::RNN::Sequence::merged($outputs, $layout)
        if AI::MXNet::Gluon::RNN::Sequence::is_merged($merge_outputs, $valid_length);
    return ($outputs, $states);
}

before call => sub {
    my $self = shift;
    $self->{_step_counter}++;
    return;
};

# The activation is a name, a block or a sub.
sub _activate
{
    my ($self, $F, $x, $activation, $name) = @_;
    return $F->Activation($x, act_type => $activation, name => $name) if not ref $activation;
    return $activation->($x);
}

no Mouse::Role;

package AI::MXNet::Gluon::RNN::RecurrentCell;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::Block';
with 'AI::MXNet::Gluon::RNN::Recurrent';
sub BUILD { return $_[0]->reset }

package AI::MXNet::Gluon::RNN::HybridRecurrentCell;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';
with 'AI::MXNet::Gluon::RNN::Recurrent';
sub BUILD { return $_[0]->reset }

# -- cells with weights

package AI::MXNet::Gluon::RNN::WeightedCell;           ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::RNN::HybridRecurrentCell';

has hidden_size => (is => 'ro', isa => 'DimSize', required => 1);
has [qw(i2h_weight_initializer h2h_weight_initializer)] => (is => 'ro', isa => 'Maybe[Initializer]');
has [qw(i2h_bias_initializer h2h_bias_initializer)] => (is => 'ro', isa => 'Maybe[Initializer]', default => 'zeros');
has input_size => (is => 'ro', isa => 'DimSize', default => 0);
has [qw(i2h_weight h2h_weight i2h_bias h2h_bias)] => (is => 'rw', init_arg => undef);

sub python_constructor_arguments
{
    return [
        qw(hidden_size i2h_weight_initializer h2h_weight_initializer i2h_bias_initializer h2h_bias_initializer input_size)
    ];
}

sub BUILD
{
    my $self = shift;
    my ($rows, $hidden) = ($self->_gates * $self->hidden_size, $self->hidden_size);
    my %shape = (
        i2h_weight => [$rows, $self->input_size],
        h2h_weight => [$rows, $hidden],
        i2h_bias => [$rows],
        h2h_bias => [$rows]
    );
    for my $name (qw(i2h_weight h2h_weight i2h_bias h2h_bias)) {
        my $init = "${name}_initializer";
        $self->$name($self->params->get($name, shape => $shape{$name}, init => $self->$init, allow_deferred_init => 1));
    }
    return;
}

sub _alias { return lc $_[0]->class =~ s/Cell$//r }

sub state_info
{
    my ($self, $batch_size) = @_;
    return [map { +{ shape => [$batch_size // 0, $self->{hidden_size}], __layout__ => 'NC' } } 1 .. $self->_num_states];
}

sub _num_states { return 1 }

sub forward
{
    my ($self, $input, $states, @more) = @_;
    my $count = $self->_num_states;
    my $got = ref $states eq 'ARRAY' ? @$states . ' of them' : ref $states || ($states // 'nothing');
    AI::MXNet::Keshi::fail(
        $self->class . ": states got $got, want a list of $count, as begin_state(batch_size => ...) gives")
        if ref $states ne 'ARRAY'
        or @$states != $count;
    return $self->SUPER::forward($input, $states, @more);
}

# Both products of a step: of the input, and of the last output.
sub _products
{
    my ($self, $F, $prefix, $input, $state, %param) = @_;
    my @size = (num_hidden => $self->_gates * $self->{hidden_size});
    return (
        $F->FullyConnected($input, @param{qw(i2h_weight i2h_bias)}, @size, name => "${prefix}i2h"),
        $F->FullyConnected($state, @param{qw(h2h_weight h2h_bias)}, @size, name => "${prefix}h2h")
    );
}

sub _text
{
    my $self = shift;
    my $sizes = ($self->input_size ? $self->input_size . ' -> ' : '') . $self->hidden_size;
    return $self->class . '(' . join(', ', $sizes, $self->_more_text) . ')';
}

sub _more_text { return }

package AI::MXNet::Gluon::RNN::RNNCell;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::RNN::WeightedCell';

has activation => (is => 'ro', isa => 'Activation', default => 'tanh');

sub python_constructor_arguments
{
    my ($size, @rest) = @{ shift->SUPER::python_constructor_arguments };
    return [$size, 'activation', @rest];
}

sub _gates { return 1 }
sub _more_text { return $_[0]->activation }

sub hybrid_forward
{
    my ($self, $F, $input, $states, @params) = @_;
    my $prefix = "t$self->{_step_counter}_";
    my ($i2h, $h2h) = $self->_products($F, $prefix, $input, $states->[0], @params);
    my $sum = $F->elemwise_add($i2h, $h2h, name => "${prefix}plus0");
    my $output = $self->_activate($F, $sum, $self->{activation}, "${prefix}out");
    return ($output, [$output]);
}

__PACKAGE__->register('AI::MXNet::Gluon::RNN');

package AI::MXNet::Gluon::RNN::LSTMCell;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::RNN::WeightedCell';

sub _gates { return 4 }
sub _num_states { return 2 }

sub hybrid_forward
{
    my ($self, $F, $input, $states, @params) = @_;
    my $prefix = "t$self->{_step_counter}_";
    my $named = sub { (name => $prefix . $_[0]) };
    my ($i2h, $h2h) = $self->_products($F, $prefix, $input, $states->[0], @params);
    my $gates = $F->elemwise_add($i2h, $h2h, $named->('plus0'));
    my $parts = $F->SliceChannel($gates, num_outputs => 4, $named->('slice'));
    my ($in, $forget, $new, $out) = map {
        my ($i, $type, $name) = @$_;
        $F->Activation($parts->[$i], act_type => $type, $named->($name))
    } [0, 'sigmoid', 'i'], [1, 'sigmoid', 'f'], [2, 'tanh', 'c'], [3, 'sigmoid', 'o'];
    my $state = $F->elemwise_add(
        $F->elemwise_mul($forget, $states->[1], $named->('mul0')),
        $F->elemwise_mul($in, $new, $named->('mul1')),
        $named->('state')
    );
    my $squashed = $F->Activation($state, act_type => 'tanh', $named->('activation0'));
    my $output = $F->elemwise_mul($out, $squashed, $named->('out'));
    return ($output, [$output, $state]);
}

__PACKAGE__->register('AI::MXNet::Gluon::RNN');

package AI::MXNet::Gluon::RNN::GRUCell;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::RNN::WeightedCell';

sub _gates { return 3 }

sub hybrid_forward
{
    my ($self, $F, $input, $states, @params) = @_;
    my $prefix = "t$self->{_step_counter}_";
    my $named = sub { (name => $prefix . $_[0]) };
    my ($i2h, $h2h) = $self->_products($F, $prefix, $input, $states->[0], @params);
    my $of_input = $F->SliceChannel($i2h, num_outputs => 3, $named->('i2h_slice'));
    my $of_state = $F->SliceChannel($h2h, num_outputs => 3, $named->('h2h_slice'));
    my ($reset, $update) = map {
        my ($i, $plus, $name) = @$_;
        $F->Activation(
            $F->elemwise_add($of_input->[$i], $of_state->[$i], $named->($plus)),
            act_type => 'sigmoid',
            $named->($name)
        )
    } [0, 'plus0', 'r_act'], [1, 'plus1', 'z_act'];
    my $old = $F->elemwise_mul($reset, $of_state->[2], $named->('mul0'));
    my $new = $F->Activation(
        $F->elemwise_add($of_input->[2], $old, $named->('plus2')),
        act_type => 'tanh',
        $named->('h_act')
    );
    my $rest = $F->elemwise_sub($F->ones_like($update, $named->('ones_like0')), $update, $named->('minus0'));
    my $output = $F->elemwise_add(
        $F->elemwise_mul($rest, $new, $named->('mul1')),
        $F->elemwise_mul($update, $states->[0], $named->('mul20')),
        $named->('out')
    );
    return ($output, [$output]);
}

__PACKAGE__->register('AI::MXNet::Gluon::RNN');

1;
