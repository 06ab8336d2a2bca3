package AI::MXNet::Contrib::ONNX::Import;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Contrib::ONNX::Known;
use AI::MXNet::Contrib::ONNX::Layers;
use AI::MXNet::Contrib::ONNX::Recurrent;
use AI::MXNet::Contrib::ONNX::Shapes;
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

sub _sym { return 'AI::MXNet::Symbol' }

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

my %RULE = (
    Where => \&AI::MXNet::Contrib::ONNX::Shapes::chosen,
    LayerNormalization => \&AI::MXNet::Contrib::ONNX::Layers::layer_norm,
    Gelu => \&AI::MXNet::Contrib::ONNX::Layers::gelu,
    Resize => \&AI::MXNet::Contrib::ONNX::Layers::resized,
    Upsample => \&AI::MXNet::Contrib::ONNX::Layers::resized,
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
    Conv => \&AI::MXNet::Contrib::ONNX::Layers::conv,
    ConvTranspose => \&AI::MXNet::Contrib::ONNX::Layers::conv,
    Gemm => \&AI::MXNet::Contrib::ONNX::Layers::gemm,
    BatchNormalization => \&AI::MXNet::Contrib::ONNX::Layers::normalization,
    PRelu => \&AI::MXNet::Contrib::ONNX::Layers::prelu,
    Clip => \&AI::MXNet::Contrib::ONNX::Shapes::bounds,
    Slice => \&AI::MXNet::Contrib::ONNX::Shapes::sliced,
    Split => \&AI::MXNet::Contrib::ONNX::Shapes::split,
    Pad => \&AI::MXNet::Contrib::ONNX::Shapes::padded,
    MaxPool => AI::MXNet::Contrib::ONNX::Layers::pool('max'),
    AveragePool => AI::MXNet::Contrib::ONNX::Layers::pool('avg'),
    GlobalMaxPool => AI::MXNet::Contrib::ONNX::Layers::pool('max', 1),
    GlobalAveragePool => AI::MXNet::Contrib::ONNX::Layers::pool('avg', 1),
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
    Reshape => \&AI::MXNet::Contrib::ONNX::Shapes::reshaped,
    Expand => \&AI::MXNet::Contrib::ONNX::Shapes::expanded,
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
    MatMul => \&AI::MXNet::Contrib::ONNX::Shapes::product,
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
    my %reads_numbers = map { $_ => 1 } qw(Reshape Expand Resize Upsample);
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
