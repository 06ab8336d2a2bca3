package AI::MXNet::Contrib::ONNX::Known;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::NDArray;
use AI::MXNet::Symbol;
use List::Util ();

# What an import knows without the data. ONNX files compute sizes from shapes, by nodes like any others, where MXNet's operators want
# parameters. So such nodes are evaluated here, twice: sizes that the file leaves open are tried as other numbers each time. What
# is the same both times is a tensor of the file's; what differs depends on open sizes, and is found again among those of the inputs.

sub _fail { return AI::MXNet::Keshi::fail(@_) }

# Primes, so that products tell their factors.
my @TRIES = ([97, 101, 103, 107, 109, 113], [127, 131, 137, 139, 149, 151]);

# The shapes of the inputs, of both trials.
sub prepare
{
    my ($self, $inputs) = @_;
    my %number;
    for my $input (grep { !defined $self->{tensors}{ $_->{name} } } @$inputs) {
        my @dims = @{ $input->{type}{tensor_type}{shape}{dim} // next };
        my @open = map { "$input->{name} $_" } 0 .. $#dims;
        for my $trial (0, 1) {
            my @shape = map {
                my $dim = $dims[$_];
                my $count = keys %number;
                $dim->{dim_value}
                    || $TRIES[$trial][($number{ $dim->{dim_param} // $open[$_] } //= $count) % @{ $TRIES[0] }]
            } 0 .. $#dims;
            $self->{given}[$trial]{ $input->{name} } = \@shape;
        }
    }
    return;
}

# The shapes of a value, of both trials, or nothing.
sub shapes
{
    my ($self, $name) = @_;
    return map { $_->shape } @{ $self->{trials}{$name} } if $self->{trials}{$name};
    my $symbol = $self->symbol($name);
    return map {
        my $given = $_;
        my %known = map { $_ => defined $self->{tensors}{$_} ? $self->{tensors}{$_}->shape : $given->{$_} }
            grep { defined $self->{tensors}{$_} || $given->{$_} } @{ $symbol->list_arguments };
        my (undef, $found) = $symbol->infer_shape_partial(%known);
        $found && $found->[0] && !(grep { $_ <= 0 } @{ $found->[0] }) ? $found->[0] : return
    } @{ $self->{given} // [] };
}

sub _is_same
{
    my ($x, $y) = @_;
    return "@{ $x->shape }" eq "@{ $y->shape }"
        && (!$x->size || join(' ', $x->aspdl->list) eq join(' ', $y->aspdl->list));
}

# Takes what a value is in both trials.
sub _keep
{
    my ($self, $name, @values) = @_;
    delete $self->{values}{$name};
    if (@values == 1 or _is_same(@values)) { $self->{tensors}{$name} = $values[0] }
    else { $self->{trials}{$name} = \@values }
    return 1;
}

sub _whole { return AI::MXNet::NDArray->array(shift, dtype => 'int64') }

# By operator, what MXNet makes only of parameters: inputs are arrays.
my %FROM_NUMBERS = (
    ConstantOfShape => sub {
        my ($self, $n, $shape) = @_;
        my @shape = $shape->size ? $shape->aspdl->list : ();
        my $fill = $n->{a}{value} ? $self->array({ name => $n->{name}, %{ $n->{a}{value} } }) : undef;
        my $zeros = AI::MXNet::NDArray->zeros(\@shape, dtype => defined $fill ? $fill->dtype : 'float32');
        return defined $fill ? $zeros + $fill->asscalar : $zeros;
    },
    Expand => sub {
        my ($self, $n, $x, $shape) = @_;
        my @shape = $shape->aspdl->list;
        return AI::MXNet::NDArray->broadcast_mul($x, AI::MXNet::NDArray->ones(\@shape, dtype => $x->dtype));
    },
    Range => sub {
        my ($self, $n, @bounds) = @_;
        my ($start, $stop, $step) = map { $_->asscalar } @bounds;
        return AI::MXNet::NDArray->arange(start => $start, stop => $stop, step => $step, dtype => $bounds[0]->dtype);
    },
    Concat => sub {
        my ($self, $n, @lists) = @_;
        return if grep { @{ $_->shape } != 1 } @lists;
        my @all = map { $_->size ? $_->aspdl->list : () } @lists;
        return AI::MXNet::NDArray->array(\@all, dtype => $lists[0]->dtype);
    },
    Slice => sub {
        my ($self, $n, $list) = @_;
        return if @{ $list->shape } != 1;
        my ($size, $begin, $end) = ($list->size, $self->list_of($n, starts => 1), $self->list_of($n, ends => 2));
        my ($step) = ($self->numbers($n, 4), 1);
        return if $step != 1;
        ($begin, $end) = map { List::Util::max(0, List::Util::min($size, $_ < 0 ? $_ + $size : $_)) } $begin, $end;
        my @part = $begin < $end ? ($list->aspdl->list)[$begin .. $end - 1] : ();
        return AI::MXNet::NDArray->array(\@part, dtype => $list->dtype);
    },
    Reshape => sub {
        my ($self, $n, $x, $shape) = @_;
        return $x->reshape($shape->size ? [$shape->aspdl->list] : [1]);
    },
);

# Whether a value without axes comes of it; here these have one of size 1.
sub _makes_scalar
{
    my ($self, $n) = @_;
    my ($x, $index) = @{ $n->{names} };
    return $self->{is_scalar}{$index} && @{ ($self->shapes($x))[0] } == 1 if $n->{op} eq 'Gather';
    return $n->{op} eq 'Squeeze' && ($self->{tensors}{$x} // $self->{trials}{$x}[0])->size == 1
        || !grep { length && !$self->{is_scalar}{$_} } @{ $n->{names} };
}

# Whether a value is a tensor, or was tried.
sub is_known { my ($self, $name) = @_; return defined($self->{tensors}{$name} // $self->{trials}{$name}) }

# Evaluates a node whose inputs are known; false where they are not.
sub fold
{
    my ($self, $n, $rule) = @_;
    my ($op, @outputs) = ($n->{op}, @{ $n->{outputs} });
    my @names = grep { length } @{ $n->{names} };
    if ($op eq 'Shape') {
        my @shapes = $self->shapes($names[0]);
        _fail("import_model: Shape $n->{name} is of a value whose shape the file does not tell") if not @shapes;
        my ($start, $end) = ($n->{a}{start} // 0, $n->{a}{end} // 'inf');
        return $self->_keep($outputs[0], map { my @s = splice @{ [@$_] }, $start; _whole(\@s) } @shapes);
    }
    return 0 if not @names or grep { !$self->is_known($_) } @names;
    my $trials = (grep { $self->{trials}{$_} } @names) ? 2 : 1;
    my $value = sub { my ($name, $trial) = @_; $self->{tensors}{$name} // $self->{trials}{$name}[$trial] };
    if ($op eq 'Unsqueeze' and $self->{is_scalar}{ $names[0] }) {
        return $self->_keep($outputs[0], map { $value->($names[0], $_) } 0 .. $trials - 1);
    }
    if (my $make = $FROM_NUMBERS{$op}) {
        my @made = map {
            my $trial = $_;
            $make->($self, $n, map { $value->($_, $trial) } @names)
        } 0 .. $trials - 1;
        return $self->_keep($outputs[0], @made) if @made == $trials;
    }

    # Sizes are few whole numbers; what else takes them, like a table of weights, is the graph's.
    my $is_weight = sub { my $x = $value->(shift, 0); @{ $x->shape } > 1 && $x->dtype =~ /^float/ };
    return 0 if $trials > 1 and grep { $is_weight->($_) } @names;
    local $self->{is_folding} = 1;
    my @parts = $self->parts($rule, $n);
    for my $i (0 .. $#parts) {
        my @arguments = @{ $parts[$i]->list_arguments };
        my @values = map {
            my $trial = $_;
            $parts[$i]->eval(args => { map { $_ => $value->($_, $trial) } @arguments })->[0]
        } 0 .. $trials - 1;
        $self->_keep($outputs[$i], @values);
        $self->{is_scalar}{ $outputs[$i] } = 1 if $self->_makes_scalar($n);
    }
    return 1;
}

# An input and its axis, of those sizes in the trials.
sub _like
{
    my ($self, @sizes) = @_;
    my ($first, $second) = @{ $self->{given} };
    for my $name (sort keys %$first) {
        for my $axis (0 .. $#{ $first->{$name} }) {
            return ($self->symbol($name), $axis)
                if $first->{$name}[$axis] == $sizes[0] and $second->{$name}[$axis] == $sizes[1];
        }
    }
    return;
}

# A symbol that has those sizes along an axis where it has 1.
sub stretch
{
    my ($self, $symbol, $axis, @sizes) = @_;
    return AI::MXNet::Symbol->broadcast_axis($symbol, axis => $axis, size => $sizes[0]) if $sizes[0] == $sizes[1];
    my ($input, $of) = $self->_like(@sizes)
        or _fail('import_model: a size is computed from those of inputs, want one of them');
    return AI::MXNet::Symbol->broadcast_like($symbol, $input, lhs_axes => [$axis], rhs_axes => [$of]);
}

# What depends on open sizes as a symbol: a tensor that is the same all along the axes of such sizes, or counts up along one of them.
sub open_symbol
{
    my ($self, $name) = @_;
    my @values = @{ $self->{trials}{$name} };
    my @shapes = map { $_->shape } @values;
    my (@same, @other);
    for my $axis (grep { $shapes[0][$_] != $shapes[1][$_] } 0 .. $#{ $shapes[0] }) {
        my @first = map { $_->slice_axis(axis => $axis, begin => 0, end => 1) } @values;
        my $is_same = !grep { !_is_same($values[$_], $first[$_]->broadcast_to($values[$_]->shape)) } 0, 1;
        push @{ $is_same ? \@same : \@other }, $axis;
        @values = @first if $is_same;
    }
    my $symbol;
    if (not @other) { $symbol = $self->add("${name}_core", $values[0]) if _is_same(@values) }
    elsif (@other == 1 and !grep { join(' ', $_->aspdl->list) ne join ' ', 0 .. $_->size - 1 } @values) {
        my ($input, $axis) = $self->_like(map { $_->size } @values);
        $symbol = AI::MXNet::Symbol->contrib->arange_like($input, axis => $axis) if $input;
        $symbol = $symbol->reshape([map { $_ == $other[0] ? -1 : 1 } 0 .. $#{ $shapes[0] }]) if $input;
    }
    _fail("import_model: $name depends on the sizes of inputs in a way that is not supported") if not $symbol;
    for my $axis (@same) {
        $symbol = $self->stretch($symbol, $axis, map { $_->[$axis] } @shapes);
    }
    return $symbol;
}

# Sizes of both trials that a node has for an input.
sub sizes
{
    my ($self, $n, $i) = @_;
    my $name = $n->{names}[$i];
    my @values = $self->{trials}{$name} ? @{ $self->{trials}{$name} } : ($self->tensor_of($n, $i)) x 2;
    return map { [$_->aspdl->list] } @values;
}

1;
