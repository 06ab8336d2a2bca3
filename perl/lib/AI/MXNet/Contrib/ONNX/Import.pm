package AI::MXNet::Contrib::ONNX::Import;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Contrib::ONNX::Known;
use AI::MXNet::Contrib::ONNX::Recurrent;
use AI::MXNet::Keshi;
use AI::MXNet::NDArray;
use AI::MXNet::Symbol;
use List::Util ();
use PDL::Lite ();
use parent -norequire, 'AI::MXNet::Contrib::ONNX::Known';

# An ONNX model as a graph and its parameters. Each rule gets the importer and a node, with symbols for inputs, and returns the symbol of
# its outputs. What ONNX hands over as a tensor where MXNet wants a parameter must be a tensor of the file.

sub _fail { return AI::MXNet::Keshi::fail(@_) }

# Data types: what they are called, the field of their numbers, and what a PDL of their bytes is.
my %TYPE = (
    1 => ['float32', 'float_data', PDL::float()],
    2 => ['uint8', 'int32_data', PDL::byte()],
    6 => ['int32', 'int32_data', PDL::long()],
    7 => ['int64', 'int64_data', PDL::longlong()],
    9 => ['uint8', 'int32_data', PDL::byte()],
    11 => ['float64', 'double_data', PDL::double()],
);

sub array
{
    my ($self, $tensor) = @_;
    my ($dtype, $field, $type) =
        @{ $TYPE{ $tensor->{data_type} }
            // _fail("import_model: tensor $tensor->{name} has data type $tensor->{data_type}, which is not supported")
        };
    my @shape = @{ $tensor->{dims} };
    my $size = List::Util::product(1, @shape);
    return AI::MXNet::NDArray->empty(\@shape, dtype => $dtype) if not $size;
    my ($raw, $values) = ($tensor->{raw_data}, $tensor->{$field} // []);
    my $count = defined $raw ? length($raw) / PDL::howbig($type) : @$values;
    _fail("import_model: tensor $tensor->{name} has $count values, want $size") if $count != $size;
    my $numbers = defined $raw ? PDL->new_from_specification($type, $size) : PDL->new($type, $values);

    if (defined $raw) {
        ${ $numbers->get_dataref } = $raw;
        $numbers->upd_data;
    }
    $self->{is_scalar}{ $tensor->{name} } = 1 if not @shape;
    return AI::MXNet::NDArray->array($numbers, dtype => $dtype)->reshape(@shape ? \@shape : [1]);
}

# -- what nodes hold

# Numbers of an input that is a tensor of the file, or a constant; nothing where there is no such input.
sub numbers
{
    my ($self, $n, $i) = @_;
    return if not length($n->{names}[$i] // '');
    my $array = $self->tensor_of($n, $i);
    return $array->size ? $array->aspdl->list : ();
}

# An input that must be a tensor of the file.
sub tensor_of
{
    my ($self, $n, $i) = @_;
    my $name = $n->{names}[$i] // '';
    return $self->{tensors}{$name}
        // _fail("import_model: $n->{op} $n->{name} computes input $i, which must be a tensor of the file");
}

# A value of the graph by its name.
sub symbol
{
    my ($self, $name) = @_;
    return $self->{values}{$name} //=
        $self->{trials}{$name} && !$self->{is_folding} ? $self->open_symbol($name) : _sym()->Variable($name);
}

# An input as a symbol, where there is one.
sub input
{
    my ($self, $n, $i) = @_;
    my $name = $n->{names}[$i] // '';
    return length $name ? $self->symbol($name) : undef;
}

# A tensor of the importer's own, as a symbol.
sub add
{
    my ($self, $name, $array) = @_;
    $self->{tensors}{$name} = $array;
    return $self->symbol($name);
}

# Axes and the like: an attribute in older operator sets, an input since.
sub list_of
{
    my ($self, $n, $name, $i) = @_;
    return defined $n->{a}{$name} ? @{ $n->{a}{$name} } : $self->numbers($n, $i);
}

# Padding must be the same at both ends.
sub _pad
{
    my ($n, $kernel) = @_;
    my $count = @$kernel;
    my $auto = $n->{a}{auto_pad} // 'NOTSET';
    my @pads = @{ $n->{a}{pads} // [(0) x (2 * $count)] };
    if ($auto =~ /^SAME_/) {
        _fail("import_model: $n->{op} $n->{name} with auto_pad $auto and strides is not supported")
            if grep { $_ != 1 } @{ $n->{a}{strides} // [] };
        my @all = map { ($kernel->[$_] - 1) * ($n->{a}{dilations}[$_] // 1) } 0 .. $count - 1;
        my @less = map { int($_ / 2) } @all;
        my @more = map { $all[$_] - $less[$_] } 0 .. $count - 1;
        @pads = $auto eq 'SAME_UPPER' ? (@less, @more) : (@more, @less);
    }
    my @before = @pads[0 .. $count - 1];
    _fail("import_model: $n->{op} $n->{name} pads differently at both ends") if "@before" ne "@pads[$count .. $#pads]";
    return \@before;
}

sub _window
{
    my ($n, $kernel) = @_;
    return (
        kernel => $kernel,
        stride => $n->{a}{strides} // [(1) x @$kernel],
        pad => _pad($n, $kernel)
    );
}

sub _sym { return 'AI::MXNet::Symbol' }

sub _conv
{
    my ($self, $n) = @_;
    my ($data, $weight, $bias) = @{ $n->{in} };
    my @shape = @{ $self->tensor_of($n, 1)->shape };
    my $is_transposed = $n->{op} eq 'ConvTranspose';
    my $group = $n->{a}{group} // 1;
    my %named = (
        data => $data,
        weight => $weight,
        ($bias ? (bias => $bias) : ()),
        no_bias => $bias ? 0 : 1,
        num_filter => $is_transposed ? $shape[1] * $group : $shape[0],
        num_group => $group,
        _window($n, $n->{a}{kernel_shape} // [@shape[2 .. $#shape]]),
        ($n->{a}{dilations} ? (dilate => $n->{a}{dilations}) : ()),
        ($n->{a}{output_padding} ? (adj => $n->{a}{output_padding}) : ()),
        name => $n->{name}
    );
    return $is_transposed ? _sym->Deconvolution(\%named) : _sym->Convolution(\%named);
}

sub _pool
{
    my ($type, $is_global) = @_;
    return sub {
        my ($self, $n) = @_;
        return _sym->Pooling($n->{in}[0], kernel => [1, 1], global_pool => 1, pool_type => $type, name => $n->{name})
            if $is_global;
        return _sym->Pooling(
            $n->{in}[0], _window($n, $n->{a}{kernel_shape}),
            pool_type => $type,
            pooling_convention => $n->{a}{ceil_mode} ? 'full' : 'valid',
            count_include_pad => $n->{a}{count_include_pad} ? 1 : 0,
            name => $n->{name}
        );
    };
}

# alpha A B + beta C
sub _gemm
{
    my ($self, $n) = @_;
    my ($x, $w, $c) = @{ $n->{in} };
    my ($alpha, $beta) = ($n->{a}{alpha} // 1, $n->{a}{beta} // 1);
    my $weight = $self->{tensors}{ $n->{names}[1] };
    my $bias = $c && $self->{tensors}{ $n->{names}[2] };
    my $is_bias = !$c || defined $bias && @{ $bias->shape } == 1;
    if (defined $weight and $is_bias and $n->{a}{transB} and !$n->{a}{transA} and $alpha == 1 and $beta == 1) {
        my %bias = $c ? (bias => $c) : (no_bias => 1);
        return _sym->FullyConnected(
            { data => $x, weight => $w, %bias, num_hidden => $weight->shape->[0], name => $n->{name} });
    }
    my $y = _sym->dot($x, $w, transpose_a => $n->{a}{transA} ? 1 : 0, transpose_b => $n->{a}{transB} ? 1 : 0);
    $y = $y * $alpha if $alpha != 1;
    return $y if not $c;
    return _sym->broadcast_add($y, $beta == 1 ? $c : $c * $beta, name => $n->{name});
}

sub _normalization
{
    my ($self, $n) = @_;
    my ($data, $gamma, $beta, $mean, $variance) = @{ $n->{in} };
    $self->{is_state}{$_} = 1 for @{ $n->{names} }[3, 4];
    return _sym->BatchNorm(
        {
            data => $data,
            gamma => $gamma,
            beta => $beta,
            moving_mean => $mean,
            moving_var => $variance,
            eps => $n->{a}{epsilon} // 1e-5,
            momentum => $n->{a}{momentum} // 0.9,
            fix_gamma => 0,
            name => $n->{name}
        }
    );
}

sub _plain
{
    my ($operator, %fixed) = @_;
    return sub {
        my ($self, $n) = @_;
        _sym->$operator(@{ $n->{in} }, %fixed, name => $n->{name});
    };
}

sub _folded
{
    my $operator = shift;
    return sub {
        my ($self, $n) = @_;
        my ($first, @rest) = @{ $n->{in} };
        $first = _sym->$operator($first, $_) for @rest;
        return $first;
    };
}

sub _reduced
{
    my $operator = shift;
    return sub {
        my ($self, $n) = @_;
        my @axes = $self->list_of($n, axes => 1);
        _sym->$operator(
            $n->{in}[0], (@axes ? (axis => \@axes) : ()),
            keepdims => $n->{a}{keepdims} // 1,
            name => $n->{name}
        );
    };
}

sub _with
{
    my ($operator, $param, $attribute, $default) = @_;
    return sub {
        my ($self, $n) = @_;
        my $value = $n->{a}{$attribute} // $default;
        _sym->$operator(@{ $n->{in} }, (defined $value ? ($param => $value) : ()), name => $n->{name});
    };
}

sub _prelu
{
    my ($self, $n) = @_;
    $self->{tensors}{ $n->{names}[1] } = $self->tensor_of($n, 1)->reshape([-1]);
    return _sym->LeakyReLU({ data => $n->{in}[0], gamma => $n->{in}[1], act_type => 'prelu', name => $n->{name} });
}

sub _bounds
{
    my ($self, $n) = @_;
    my ($low) = $n->{a}{min} // $self->numbers($n, 1);
    my ($high) = $n->{a}{max} // $self->numbers($n, 2);
    return _sym->clip($n->{in}[0], a_min => $low // -3.4e38, a_max => $high // 3.4e38, name => $n->{name});
}

sub _sliced
{
    my ($self, $n) = @_;
    my @starts = $self->list_of($n, starts => 1);
    my @ends = $self->list_of($n, ends => 2);
    my @axes = $self->list_of($n, axes => 3);
    my @steps = $self->numbers($n, 4);
    @axes = 0 .. $#starts if not @axes;
    my $y = $n->{in}[0];
    for my $i (0 .. $#axes) {
        my $end = abs($ends[$i]) >= 2**31 - 1 ? undef : $ends[$i];
        my $step = $steps[$i] // 1;
        if ($step == 1) {
            $y = _sym->slice_axis($y, axis => $axes[$i], begin => $starts[$i], end => $end);
            next;
        }
        my $before = $axes[$i];
        if ($before < 0) {
            my ($shape) = $self->shapes($n->{names}[0]);
            _fail("import_model: Slice $n->{name} is on axis $before of a value whose shape the file does not tell")
                if not $shape;
            $before += @$shape;
        }
        my @all = (undef) x $before;
        my $start = abs($starts[$i]) >= 2**31 - 1 ? undef : $starts[$i];
        $y = _sym->slice($y, begin => [@all, $start], end => [@all, $end], step => [@all, $step]);
    }
    return $y;
}

sub _split
{
    my ($self, $n) = @_;
    my @sizes = $self->list_of($n, split => 1);
    if (grep { $_ != $sizes[0] } @sizes) {
        my $end = 0;
        return map {
            my $begin = $end;
            $end += $_;
            _sym->slice_axis($n->{in}[0], axis => $n->{a}{axis} // 0, begin => $begin, end => $end)
        } @sizes;
    }
    return _sym->SliceChannel(
        $n->{in}[0],
        num_outputs => scalar @{ $n->{outputs} },
        axis => $n->{a}{axis} // 0,
        name => $n->{name}
    );
}

sub _padded
{
    my ($self, $n) = @_;
    my @pads = $self->list_of($n, pads => 1);
    my ($value) = $n->{a}{value} // $self->numbers($n, 2);
    my $half = @pads / 2;
    my @width = map { @pads[$_, $_ + $half] } 0 .. $half - 1;
    my $mode = $n->{a}{mode} // 'constant';
    return _sym->Pad(
        $n->{in}[0],
        pad_width => \@width,
        mode => $mode,
        constant_value => $value // 0,
        name => $n->{name}
    );
}

# Sizes of the input that stay stand as 0, and one that depends on open sizes as -1.
sub _reshaped
{
    my ($self, $n) = @_;
    my ($first, $second) = $n->{a}{shape} ? ($n->{a}{shape}) x 2 : $self->sizes($n, 1);
    my @shape = @$first;
    my @open = grep { $first->[$_] != $second->[$_] } 0 .. $#shape;
    if (@open) {
        my @from = $self->shapes($n->{names}[0]);
        my $stays = sub {
            my $i = shift;
            return @from && $i < @{ $from[0] } && $from[0][$i] == $first->[$i] && $from[1][$i] == $second->[$i];
        };
        $shape[$_] = $stays->($_) ? 0 : -1 for @open;
        _fail(
"import_model: Reshape $n->{name} to sizes that depend on the inputs' is not supported, want one that is new"
        ) if 1 < grep { $_ == -1 } @shape;
    }
    return _sym->Reshape($n->{in}[0], shape => \@shape, name => $n->{name});
}

sub _expanded
{
    my ($self, $n) = @_;
    my ($y, @sizes) = ($n->{in}[0], $self->sizes($n, 1));
    my @shapes = $self->shapes($n->{names}[0]);
    _fail("import_model: Expand $n->{name} is of a value whose shape the file does not tell") if not @shapes;
    my $more = @{ $sizes[0] } - @{ $shapes[0] };
    for (1 .. $more) {
        $y = _sym->expand_dims($y, axis => 0);
        unshift @$_, 1 for @shapes;
    }
    unshift @$_, (1) x List::Util::max(0, -$more) for @sizes;
    for my $axis (grep { $shapes[0][$_] == 1 && $sizes[0][$_] != 1 } 0 .. $#{ $shapes[0] }) {
        $y = $self->stretch($y, $axis, map { $_->[$axis] } @sizes);
    }
    return $y;
}

# Of matrices by the last two axes, where the others are the same.
sub _product
{
    my ($self, $n) = @_;
    my ($left, $right) = map { ($self->shapes($_))[0] } @{ $n->{names} };
    return _sym->dot(@{ $n->{in} }, name => $n->{name}) if not $right or @$right <= 2;
    _fail(    "import_model: MatMul $n->{name} of shapes "
            . join(' and ', map { "[@$_]" } $left, $right)
            . ' is not supported')
        if not $left or "@$left[0 .. $#$left - 2]" ne "@$right[0 .. $#$right - 2]";
    return _sym->batch_dot(@{ $n->{in} }, name => $n->{name}) if @$right == 3;
    return _sym->linalg->gemm2(@{ $n->{in} }, name => $n->{name});
}

# All three are broadcast, by adding zeros of the largest shape.
sub _chosen
{
    my ($self, $n) = @_;
    my ($condition, @sides) = @{ $n->{in} };
    my @shapes = map { my ($shape) = $self->shapes($_); $shape ? "@$shape" : '' } @{ $n->{names} };
    if (!length $shapes[0] or grep { $_ ne $shapes[0] } @shapes) {
        $condition = _sym->Cast($condition, dtype => 'float32');
        my $zeros = _sym->zeros_like($condition);
        $zeros = _sym->broadcast_add($zeros, _sym->zeros_like($_)) for @sides;
        ($condition, @sides) = map { _sym->broadcast_add($zeros, $_) } $condition, @sides;
    }
    return _sym->where($condition, @sides, name => $n->{name});
}

sub _layer_norm
{
    my ($self, $n) = @_;
    my ($data, $gamma, $beta) = @{ $n->{in} };
    my $axis = $n->{a}{axis} // -1;
    my ($shape) = $self->shapes($n->{names}[0]);
    _fail("import_model: LayerNormalization $n->{name} from axis $axis is not supported, want the last")
        if $axis != -1 and (!$shape or $axis != $#$shape);
    $beta //= _sym->zeros_like($gamma);
    return _sym->LayerNorm($data, $gamma, $beta, eps => $n->{a}{epsilon} // 1e-5, name => $n->{name});
}

sub _gelu
{
    my ($self, $n) = @_;
    my $kind = $n->{a}{approximate} // 'none';
    _fail("import_model: Gelu $n->{name} with approximate $kind is not supported, want none") if $kind ne 'none';
    return _sym->LeakyReLU($n->{in}[0], act_type => 'gelu', name => $n->{name});
}

my %RULE = (
    Where => \&_chosen,
    LayerNormalization => \&_layer_norm,
    Gelu => \&_gelu,
    HardSigmoid => sub {
        my ($self, $n) = @_;
        my ($alpha, $beta) = ($n->{a}{alpha} // 0.2, $n->{a}{beta} // 0.5);
        _sym->hard_sigmoid($n->{in}[0], alpha => $alpha, beta => $beta, name => $n->{name});
    },
    HardSwish => sub {
        my ($self, $n) = @_;
        my $x = $n->{in}[0];
        $x * _sym->hard_sigmoid($x, alpha => 1 / 6, beta => 0.5);
    },
    Conv => \&_conv,
    ConvTranspose => \&_conv,
    Gemm => \&_gemm,
    BatchNormalization => \&_normalization,
    PRelu => \&_prelu,
    Clip => \&_bounds,
    Slice => \&_sliced,
    Split => \&_split,
    Pad => \&_padded,
    MaxPool => _pool('max'),
    AveragePool => _pool('avg'),
    GlobalMaxPool => _pool('max', 1),
    GlobalAveragePool => _pool('avg', 1),
    Concat => sub {
        my ($self, $n) = @_;
        _sym->Concat(@{ $n->{in} }, dim => $n->{a}{axis}, num_args => scalar @{ $n->{in} }, name => $n->{name});
    },
    Flatten => sub {
        my ($self, $n) = @_;
        _fail("import_model: Flatten $n->{name} on axis $n->{a}{axis} is not supported, want 1")
            if ($n->{a}{axis} // 1) != 1;
        _sym->Flatten($n->{in}[0], name => $n->{name});
    },
    Reshape => \&_reshaped,
    Expand => \&_expanded,
    Shape => sub { },
    ConstantOfShape => sub { _fail("import_model: ConstantOfShape $_[1]{name} computes its shape from data") },
    Range => sub { _fail("import_model: Range $_[1]{name} computes its bounds from data") },
    Unsqueeze => sub {
        my ($self, $n) = @_;
        my $y = $n->{in}[0];
        $y = _sym->expand_dims($y, axis => $_) for sort { $a <=> $b } $self->list_of($n, axes => 1);
        return $y;
    },
    Squeeze => sub {
        my ($self, $n) = @_;
        my @axes = $self->list_of($n, axes => 1);
        _sym->squeeze($n->{in}[0], (@axes ? (axis => \@axes) : ()), name => $n->{name});
    },
    MatMul => \&_product,
    Dropout => sub {
        my ($self, $n) = @_;
        my ($rate) = $n->{a}{ratio} // $self->numbers($n, 1);
        _sym->Dropout($n->{in}[0], p => $rate // 0.5, name => $n->{name});
    },
    Gather => sub {
        my ($self, $n) = @_;
        my $axis = $n->{a}{axis} // 0;
        my $y = _sym->take(@{ $n->{in} }, axis => $axis, mode => 'wrap', name => $n->{name});
        my ($data, $index) = @{ $n->{names} };
        return $y if not $self->{is_scalar}{$index} or $self->is_known($data) and @{ ($self->shapes($data))[0] } == 1;
        return _sym->squeeze($y, axis => $axis);
    },
    Cast => sub {
        my ($self, $n) = @_;
        my $type = $TYPE{ $n->{a}{to} }
            // _fail("import_model: Cast $n->{name} to data type $n->{a}{to} is not supported");
        _sym->Cast($n->{in}[0], dtype => $type->[0], name => $n->{name});
    },
    LRN => sub {
        my ($self, $n) = @_;
        my $a = $n->{a};
        _sym->LRN(
            $n->{in}[0],
            nsize => $a->{size},
            alpha => $a->{alpha} // 1e-4,
            beta => $a->{beta} // 0.75,
            knorm => $a->{bias} // 1,
            name => $n->{name}
        );
    },
    Transpose => _with('transpose', axes => 'perm'),
    Softmax => _with('softmax', axis => axis => -1),
    LogSoftmax => _with('log_softmax', axis => axis => -1),
    InstanceNormalization => _with('InstanceNorm', eps => epsilon => 1e-5),
    LeakyRelu => sub {
        my ($self, $n) = @_;
        _sym->LeakyReLU($n->{in}[0], act_type => 'leaky', slope => $n->{a}{alpha} // 0.01, name => $n->{name});
    },
    Elu => sub {
        my ($self, $n) = @_;
        _sym->LeakyReLU($n->{in}[0], act_type => 'elu', slope => $n->{a}{alpha} // 1, name => $n->{name});
    },
    Selu => _plain('LeakyReLU', act_type => 'selu'),
    (
        map { $_->[0] => _plain('Activation', act_type => $_->[1]) } [Relu => 'relu'],
        [Sigmoid => 'sigmoid'],
        [Tanh => 'tanh'],
        [Softplus => 'softrelu'],
        [Softsign => 'softsign']
    ),
    (
        map { $_->[0] => _plain($_->[1]) } [Identity => '_copy'],
        [Exp => 'exp'],
        [Log => 'log'],
        [Sqrt => 'sqrt'],
        [Abs => 'abs'],
        [Neg => 'negative'],
        [Floor => 'floor'],
        [Ceil => 'ceil'],
        [Sin => 'sin'],
        [Cos => 'cos'],
        [Erf => 'erf'],
        [Reciprocal => 'reciprocal'],
        [Sub => 'broadcast_sub'],
        [Div => 'broadcast_div'],
        [Pow => 'broadcast_power'],
        [Add => 'broadcast_add'],
        [Mul => 'broadcast_mul'],
        [Equal => 'broadcast_equal'],
        [Greater => 'broadcast_greater'],
        [GreaterOrEqual => 'broadcast_greater_equal'],
        [Less => 'broadcast_lesser'],
        [LessOrEqual => 'broadcast_lesser_equal'],
        [And => 'broadcast_logical_and'],
        [Or => 'broadcast_logical_or'],
        [Not => 'logical_not'],
        [Mod => 'broadcast_mod']
    ),
    (
        map { $_->[0] => _folded($_->[1]) } [Sum => 'broadcast_add'],
        [Max => 'broadcast_maximum'],
        [Min => 'broadcast_minimum']
    ),
    (map { $_ => \&AI::MXNet::Contrib::ONNX::Recurrent::read_layer } qw(LSTM GRU RNN)),
    (map { +"Reduce$_" => _reduced(lc) } qw(Sum Mean Max Min Prod)),
);

# -- the graph

sub _attributes
{
    my $node = shift;
    my %field = (1 => 'f', 2 => 'i', 3 => 's', 4 => 't', 6 => 'floats', 7 => 'ints', 8 => 'strings');
    return { map { $_->{name} => $_->{ $field{ $_->{type} // 0 } // 'i' } } @{ $node->{attribute} } };
}

# The outputs of a node. Operators that read a tensor as numbers look at the first input alone.
sub parts
{
    my ($self, $rule, $n) = @_;
    my %reads_numbers = map { $_ => 1 } qw(Reshape Expand);
    my @names = grep { length } @{ $n->{names} };
    $n->{in} = [map { $self->symbol($_) } $reads_numbers{ $n->{op} } ? $names[0] : @names];
    my @parts = $rule->($self, $n);
    return @parts if @parts > 1 or @{ $n->{outputs} } == 1 or @{ $parts[0]->list_outputs } == 1;
    return @{ $parts[0] };
}

# Symbol, arguments and auxiliary states.
sub graph
{
    my $model = shift;
    my $graph = $model->{graph} // _fail('import_model: the file holds no graph');
    my $self = bless {}, __PACKAGE__;
    $self->{tensors}{ $_->{name} } = $self->array($_) for @{ $graph->{initializer} };
    $self->prepare($graph->{input});
    for my $node (@{ $graph->{node} }) {
        my ($op, @outputs) = ($node->{op_type}, @{ $node->{output} });
        my $attributes = _attributes($node);
        if ($op eq 'Constant') {
            $self->{tensors}{ $outputs[0] } = $self->array({ name => $outputs[0], %{ $attributes->{value} } });
            next;
        }
        my $rule = $RULE{$op} // _fail("import_model: operator $op of node $outputs[0] is not supported");
        my @names = @{ $node->{input} };
        my $name = length($node->{name} // '') ? $node->{name} : $outputs[0];
        my $n =
            { op => $op, name => $name =~ s{[^\w.-]}{_}gr, a => $attributes, names => \@names, outputs => \@outputs };
        next if $self->fold($n, $rule);
        my @parts = $self->parts($rule, $n);
        $self->{values}{ $outputs[$_] } = $parts[$_] for grep { defined $parts[$_] } 0 .. $#outputs;
    }
    my @heads = map { $self->symbol($_->{name}) } @{ $graph->{output} };
    my $symbol = @heads == 1 ? $heads[0] : AI::MXNet::Symbol->Group(\@heads);
    my $collect = sub {
        return { map { $_ => $self->{tensors}{$_} } grep { defined $self->{tensors}{$_} } @_ };
    };
    return ($symbol, $collect->(@{ $symbol->list_arguments }), $collect->(@{ $symbol->list_auxiliary_states }));
}

1;
