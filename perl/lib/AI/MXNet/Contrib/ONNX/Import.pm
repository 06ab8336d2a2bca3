package AI::MXNet::Contrib::ONNX::Import;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Contrib::ONNX::Recurrent;
use AI::MXNet::Keshi;
use AI::MXNet::NDArray;
use AI::MXNet::Symbol;
use List::Util ();
use PDL::Lite ();

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

sub _array
{
    my $tensor = shift;
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
    return $self->{values}{$name} //= _sym()->Variable($name);
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
sub _list_of
{
    my ($self, $n, $name, $i) = @_;
    return defined $n->{a}{$name} ? @{ $n->{a}{$name} } : $self->numbers($n, $i);
}

# Padding must be the same at both ends.
sub _pad
{
    my ($n, $count) = @_;
    my $auto = $n->{a}{auto_pad} // 'NOTSET';
    _fail("import_model: $n->{op} $n->{name} with auto_pad $auto is not supported") if $auto !~ /^(?:NOTSET|VALID)$/;
    my @pads = @{ $n->{a}{pads} // [(0) x (2 * $count)] };
    my @before = @pads[0 .. $count - 1];
    _fail("import_model: $n->{op} $n->{name} pads differently at both ends") if "@before" ne "@pads[$count .. $#pads]";
    return \@before;
}

sub _window
{
    my ($n, $kernel) = @_;
    my $count = @$kernel;
    return (
        kernel => $kernel,
        stride => $n->{a}{strides} // [(1) x $count],
        pad => _pad($n, $count)
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
    my $is_bias = !$c || $bias && @{ $bias->shape } == 1;
    if ($weight and $is_bias and $n->{a}{transB} and !$n->{a}{transA} and $alpha == 1 and $beta == 1) {
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
        my @axes = $self->_list_of($n, axes => 1);
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
    my @starts = $self->_list_of($n, starts => 1);
    my @ends = $self->_list_of($n, ends => 2);
    my @axes = $self->_list_of($n, axes => 3);
    _fail("import_model: Slice $n->{name} with steps is not supported") if grep { $_ != 1 } $self->numbers($n, 4);
    @axes = 0 .. $#starts if not @axes;
    my $y = $n->{in}[0];
    for my $i (0 .. $#axes) {
        my $end = $ends[$i] >= 2**31 - 1 ? undef : $ends[$i];
        $y = _sym->slice_axis($y, axis => $axes[$i], begin => $starts[$i], end => $end);
    }
    return $y;
}

sub _split
{
    my ($self, $n) = @_;
    my @sizes = $self->_list_of($n, split => 1);
    _fail("import_model: Split $n->{name} into different sizes is not supported") if grep { $_ != $sizes[0] } @sizes;
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
    my @pads = $self->_list_of($n, pads => 1);
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

my %RULE = (
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
    Reshape => sub {
        my ($self, $n) = @_;
        _sym->Reshape($n->{in}[0], shape => [$self->_list_of($n, shape => 1)], name => $n->{name});
    },
    Unsqueeze => sub {
        my ($self, $n) = @_;
        my $y = $n->{in}[0];
        $y = _sym->expand_dims($y, axis => $_) for sort { $a <=> $b } $self->_list_of($n, axes => 1);
        return $y;
    },
    Squeeze => sub {
        my ($self, $n) = @_;
        my @axes = $self->_list_of($n, axes => 1);
        _sym->squeeze($n->{in}[0], (@axes ? (axis => \@axes) : ()), name => $n->{name});
    },
    MatMul => sub {
        my ($self, $n) = @_;
        my $right = $self->{tensors}{ $n->{names}[1] };
        return _sym->dot(@{ $n->{in} }, name => $n->{name}) if not $right or @{ $right->shape } == 2;
        return _sym->batch_dot(@{ $n->{in} }, name => $n->{name});
    },
    Dropout => sub {
        my ($self, $n) = @_;
        my ($rate) = $n->{a}{ratio} // $self->numbers($n, 1);
        _sym->Dropout($n->{in}[0], p => $rate // 0.5, name => $n->{name});
    },
    Gather => sub {
        my ($self, $n) = @_;
        _sym->take(@{ $n->{in} }, axis => $n->{a}{axis} // 0, name => $n->{name});
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
        [Mul => 'broadcast_mul']
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

# Symbol, arguments and auxiliary states.
sub graph
{
    my $model = shift;
    my $graph = $model->{graph} // _fail('import_model: the file holds no graph');
    my $self = bless { tensors => { map { $_->{name} => _array($_) } @{ $graph->{initializer} } } }, __PACKAGE__;
    for my $node (@{ $graph->{node} }) {
        my ($op, @outputs) = ($node->{op_type}, @{ $node->{output} });
        my $attributes = _attributes($node);
        if ($op eq 'Constant') {
            $self->{tensors}{ $outputs[0] } = _array({ name => $outputs[0], %{ $attributes->{value} } });
            next;
        }
        my $rule = $RULE{$op} // _fail("import_model: operator $op of node $outputs[0] is not supported");
        my @names = @{ $node->{input} };
        my $name = length($node->{name} // '') ? $node->{name} : $outputs[0];
        my $n =
            { op => $op, name => $name =~ s{[^\w.-]}{_}gr, a => $attributes, names => \@names, outputs => \@outputs };
        $n->{in} = [map { $self->symbol($_) } grep { length } @names];
        # Operators that read a tensor as numbers look at the first input alone.
        my @parts = $rule->($self, $n);
        @parts = @{ $parts[0] } if @parts == 1 and @outputs > 1 and @{ $parts[0]->list_outputs } > 1;
        $self->{values}{ $outputs[$_] } = $parts[$_] for grep { defined $parts[$_] } 0 .. $#outputs;
    }
    my @heads = map { $self->symbol($_->{name}) } @{ $graph->{output} };
    my $symbol = @heads == 1 ? $heads[0] : AI::MXNet::Symbol->Group(\@heads);
    my $collect = sub {
        return { map { $_ => $self->{tensors}{$_} } grep { $self->{tensors}{$_} } @_ };
    };
    return ($symbol, $collect->(@{ $symbol->list_arguments }), $collect->(@{ $symbol->list_auxiliary_states }));
}

1;
