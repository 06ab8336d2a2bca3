package AI::MXNet::RNN::Base;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Symbol;
use Scalar::Util qw(blessed);

# What recurrent cells of symbols share: one step is a call, and unrolling is a loop over it.

use overload
    '&{}' => sub {
    my $self = shift;
    return sub { $self->call(@_) }
    },
    fallback => 1;

sub _fail { return AI::MXNet::Keshi::fail(@_) }

sub _is_symbol { return blessed($_[0]) && $_[0]->isa('AI::MXNet::Symbol') }

# Named arguments over the defaults of the class; an odd one in front is the first of them.
sub new
{
    my ($class, @args) = @_;
    my ($first, %defaults) = $class->_arguments;
    unshift @args, $first if @args % 2;
    my %given = @args;
    for my $name (sort keys %given) {
        _fail("$class: no such named argument '$name', want one of " . join ', ', sort keys %defaults)
            if not exists $defaults{$name};
    }
    my $self = bless { %defaults, %given }, $class;
    $self->{own_params} = not defined $self->{params};
    $self->{params} //= AI::MXNet::RNN::Params->new($self->{params_prefix} // $self->{prefix} // '');
    $self->BUILD if $self->can('BUILD');
    $self->reset;
    return $self;
}

sub reset    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    @{$self}{qw(counter init_counter)} = (-1, -1);
    return;
}

sub params { my $self = shift; $self->{own_params} = 0; return $self->{params} }
sub _prefix { return $_[0]{prefix} }
sub _gate_names { return [''] }

sub state_shape
{
    return [map { $_->{shape} } @{ $_[0]->state_info }];
}
sub output { return $_[0]{output} }

# The prefix of the names of the next step.
sub _step
{
    my $self = shift;
    return "$self->{prefix}t" . ++$self->{counter} . '_';
}

# Symbols of the first states: zeros, or what func makes.
sub begin_state
{
    my ($self, %given) = @_;
    _fail(
'After applying modifier cells (e.g. DropoutCell) the base cell cannot be called directly. Call the modifier cell '
            . 'instead.')
        if $self->{modified};
    my $func = delete $given{func} // AI::MXNet::Symbol->can('zeros');
    my $by_position = $func == AI::MXNet::Symbol->can('Variable');
    return [
        map {
            my %info = (%$_, %given);
            my $name = "$self->{prefix}begin_state_" . ++$self->{init_counter};
            $by_position ? AI::MXNet::Symbol->$func($name, %info) : AI::MXNet::Symbol->$func(name => $name, %info)
        } @{ $self->state_info }
    ];
}

# -- sequences

# The axis of time in a layout.
sub time_axis
{
    my $layout = shift;
    my $axis = index $layout, 'T';
    _fail("unroll: layout got $layout, want one with T") if $axis < 0;
    return $axis;
}

# A list with one symbol for each step.
sub split_steps
{
    my ($length, $inputs, $layout, $prefix) = @_;
    return [map { AI::MXNet::Symbol->Variable("${prefix}t${_}_data") } 0 .. $length - 1] if not defined $inputs;
    if (_is_symbol($inputs)) {
        _fail(
            'unroll doesn\'t allow grouped symbol as input. Please convert to list first or let unroll handle splitting'
        ) if @{ $inputs->list_outputs } != 1;
        return [
            @{ AI::MXNet::Symbol->SliceChannel(
                    $inputs,
                    axis => time_axis($layout),
                    num_outputs => $length,
                    squeeze_axis => 1
                )
            }
        ];
    }
    _fail('unroll: got ' . @$inputs . " inputs, want one for each of $length steps") if @$inputs != $length;
    return $inputs;
}

# One symbol with an axis of time.
sub merge_steps
{
    my ($steps, $layout) = @_;
    my $axis = time_axis($layout);
    return AI::MXNet::Symbol->Concat((map { $_->expand_dims(axis => $axis) } @$steps), dim => $axis);
}

# Arguments of unroll.
sub _unroll_arguments
{
    my ($self, @args) = @_;
    my $length = shift @args;
    my %arg = (inputs => undef, begin_state => undef, input_prefix => '', layout => 'NTC', merge_outputs => undef);
    my %given = @args;
    for my $name (sort keys %given) {
        _fail("unroll: no such named argument '$name', want one of " . join ', ', sort keys %arg)
            if not exists $arg{$name};
    }
    return ($length, { %arg, %given });
}

# The outputs of all steps, as a list or merged, and the last states.
sub unroll
{
    my ($self, @args) = @_;
    my ($length, $arg) = $self->_unroll_arguments(@args);
    $self->reset;
    my $inputs = split_steps($length, @{$arg}{qw(inputs layout input_prefix)});
    my $states = $arg->{begin_state} // $self->begin_state;
    my @outputs;
    for my $input (@$inputs) {
        (my $output, $states) = $self->call($input, $states);
        push @outputs, $output;
    }
    return ($arg->{merge_outputs} ? merge_steps(\@outputs, $arg->{layout}) : \@outputs, $states);
}

sub _activation
{
    my ($self, $input, $activation, %given) = @_;
    return $activation->($input, %given) if ref $activation;
    return AI::MXNet::Symbol->Activation($input, act_type => $activation, %given);
}

# -- weights, gate by gate

# The name of each weight that holds all gates, and those of its gates.
sub _weight_names
{
    my $self = shift;
    my @gates = @{ $self->_gate_names };
    return if @gates == 1;
    my @names;
    for my $group (map { $self->{prefix} . $_ } qw(i2h h2h)) {
        push @names, map {
            my $kind = $_;
            ["${group}_$kind", map { "$group${_}_$kind" } @gates]
        } qw(weight bias);
    }
    return @names;
}

sub unpack_weights
{
    my ($self, $args) = @_;
    my %args = %$args;
    for my $names ($self->_weight_names) {
        my ($name, @gates) = @$names;
        my $whole = delete $args{$name} // next;
        my $rows = $whole->shape->[0] / @gates;
        $args{ $gates[$_] } = $whole->slice([$_ * $rows, ($_ + 1) * $rows - 1])->copy for 0 .. $#gates;
    }
    return \%args;
}

sub pack_weights
{
    my ($self, $args) = @_;
    my %args = %$args;
    for my $names ($self->_weight_names) {
        my ($name, @gates) = @$names;
        my @parts = delete @args{@gates};
        next if grep { !defined } @parts;
        $args{$name} = AI::MXNet::NDArray->concatenate(\@parts);
    }
    return \%args;
}

# Variables by name, made when they are first asked for, so that all steps share them.
package AI::MXNet::RNN::Params;    ## no critic (ProhibitMultiplePackages)
use strict;
use warnings;

sub new
{
    my ($class, @args) = @_;
    my %arg = @args % 2 ? (_prefix => $args[0]) : (prefix => '', @args);
    return bless { prefix => $arg{_prefix} // $arg{prefix} // '', params => {} }, $class;
}

sub _params { return $_[0]{params} }
sub _prefix { return $_[0]{prefix} }

sub get
{
    my ($self, $name, %given) = @_;
    $name = "$self->{prefix}$name";
    return $self->{params}{$name} //= AI::MXNet::Symbol->Variable($name, %given);
}

1;
