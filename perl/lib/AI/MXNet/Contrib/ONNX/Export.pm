package AI::MXNet::Contrib::ONNX::Export;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Base qw(DTYPE_STR_TO_MX);
use AI::MXNet::Contrib::ONNX::Recurrent;
use AI::MXNet::Symbol;
use JSON::PP ();
use List::Util ();

# A graph and its parameters as an ONNX model, of operator set 13. Each rule gets the exporter and a node, with names for inputs, and adds
# ONNX nodes, of which the last is called as the node is.

sub _fail { return AI::MXNet::Keshi::fail(@_) }

my %TYPE = (float32 => 1, uint8 => 2, int32 => 6, int64 => 7, float64 => 11);

sub _type
{
    my ($name, $dtype) = @_;
    return $TYPE{$dtype}
        // _fail("export_model: dtype $dtype of $name is not supported, want one of " . join ', ', sort keys %TYPE);
}

# -- building blocks

sub _attribute
{
    my ($name, $value) = @_;
    return { name => $name, type => 7, ints => [map { $_ + 0 } @$value] } if ref $value eq 'ARRAY';
    return { name => $name, type => 8, %$value } if ref $value eq 'HASH';
    return { name => $name, type => 1, f => $$value } if ref $value;
    return { name => $name, type => 2, i => $value + 0 } if $value =~ /^-?\d+$/;
    return { name => $name, type => 3, s => $value };
}

# A node; attributes are whole numbers, lists of them, references to floats, texts, or a hash of texts.
sub add
{
    my ($self, $op, $inputs, $outputs, %attributes) = @_;
    $outputs = [$outputs] if not ref $outputs;
    push @{ $self->{nodes} },
        {
        op_type => $op,
        name => $outputs->[0],
        input => $inputs,
        output => $outputs,
        attribute => [map { _attribute($_, $attributes{$_}) } grep { defined $attributes{$_} } sort keys %attributes]
        };
    return $outputs->[0];
}

sub _tensor
{
    my ($name, $array, $shape) = @_;
    my $raw = $array->size ? ${ $array->aspdl->get_dataref } : '';
    return { name => $name, data_type => _type($name, $array->dtype), dims => $shape, raw_data => $raw };
}

# A tensor of the file's own.
sub tensor
{
    my ($self, $name, $array, $shape) = @_;
    push @{ $self->{tensors} }, _tensor($name, $array, $shape);
    return $name;
}

sub constant
{
    my ($self, $name, $values, $shape, $dtype) = @_;
    return $self->tensor($name, AI::MXNet::NDArray->array($values, dtype => $dtype), $shape);
}

sub whole { my ($self, $name, @values) = @_; return $self->constant($name, \@values, [scalar @values], 'int64') }

sub cast
{
    my ($self, $input, $name, $dtype) = @_;
    return $self->add('Cast', [$input], $name, to => _type($name, $dtype));
}

# A part of one axis.
sub slice
{
    my ($self, $input, $name, $axis, $begin, $end) = @_;
    my @bounds = map { $self->whole("${name}_$_->[0]", $_->[1]) } [starts => $begin], [ends => $end], [axes => $axis];
    return $self->add('Slice', [$input, @bounds], $name);
}

# -- attributes of MXNet's nodes, which are texts

sub _list
{
    return map { $_ + 0 } ($_[0] // '') =~ /-?\d+/g;
}
sub _yes { return ($_[0] // '') =~ /^(?:1|true)$/i }
sub _defined_number { return defined $_[0] && $_[0] =~ /\d/ }

# What convolutions and pooling have in common.
sub _window
{
    my $p = shift;
    my @kernel = _list($p->{kernel});
    my $filled = sub {
        my ($text, $default) = @_;
        my @values = _list($text);
        return @values ? @values : ($default) x @kernel;
    };
    my @pads = $filled->($p->{pad}, 0);
    return (
        kernel_shape => \@kernel,
        strides => [$filled->($p->{stride}, 1)],
        pads => [@pads, @pads],
        dilations => [$filled->($p->{dilate}, 1)]
    );
}

sub _renamed
{
    my $op = shift;
    return sub {
        my ($self, $n) = @_;
        $self->add($op, $n->{inputs}, $n->{name});
    };
}

sub _with_number
{
    my ($op, $swapped) = @_;
    return sub {
        my ($self, $n) = @_;
        my $number = $self->constant("$n->{name}_scalar", [$n->{p}{scalar}], [], $self->{dtype});
        $self->add($op, $swapped ? [$number, $n->{inputs}[0]] : [$n->{inputs}[0], $number], $n->{name});
    };
}

sub _reduction
{
    my $op = shift;
    return sub {
        my ($self, $n) = @_;
        _fail("export_model: $n->{op} $n->{name} with exclude is not supported") if _yes($n->{p}{exclude});
        my @axes = _list($n->{p}{axis});
        my @inputs = $n->{inputs}[0];
        my %axes = @axes ? (axes => \@axes) : ();
        if ($op eq 'ReduceSum' and @axes) {
            push @inputs, $self->whole("$n->{name}_axes", @axes);
            %axes = ();
        }
        $self->add($op, \@inputs, $n->{name}, keepdims => _yes($n->{p}{keepdims}) ? 1 : 0, %axes);
    };
}

sub _softmax
{
    my ($op, $default) = @_;
    return sub {
        my ($self, $n) = @_;
        $self->add($op, [$n->{inputs}[0]], $n->{name}, axis => $n->{p}{axis} // $default);
    };
}

my %ACTIVATION = (relu => 'Relu', sigmoid => 'Sigmoid', tanh => 'Tanh', softrelu => 'Softplus', softsign => 'Softsign');

sub _leaky
{
    my ($self, $n) = @_;
    my $type = $n->{p}{act_type} // 'leaky';
    my $slope = $n->{p}{slope} // 0.25;
    return $self->add('LeakyRelu', [$n->{inputs}[0]], $n->{name}, alpha => \$slope) if $type eq 'leaky';
    return $self->add('Elu', [$n->{inputs}[0]], $n->{name}, alpha => \$slope) if $type eq 'elu';
    return $self->add('Selu', [$n->{inputs}[0]], $n->{name}) if $type eq 'selu';
    _fail("export_model: LeakyReLU $n->{name} with act_type $type is not supported") if $type ne 'prelu';
    my $gamma = $self->{params}{ $n->{inputs}[1] } // _fail("export_model: LeakyReLU $n->{name} computes its slope");
    my $slopes =
        $self->tensor("$n->{name}_slope", $gamma, [$gamma->size, (1) x (@{ $self->shape_of($n->{inputs}[0]) } - 2)]);
    return $self->add('PRelu', [$n->{inputs}[0], $slopes], $n->{name});
}

sub _dense
{
    my ($self, $n) = @_;
    my ($data, $weight, @bias) = @{ $n->{inputs} };
    if (_yes($n->{p}{flatten} // 1)) {
        $data = $self->add('Flatten', [$data], "$n->{name}_flat", axis => 1);
        return $self->add('Gemm', [$data, $weight, @bias], $n->{name}, transB => 1);
    }
    my $turned = $self->add('Transpose', [$weight], "$n->{name}_turned", perm => [1, 0]);
    return $self->add('MatMul', [$data, $turned], $n->{name}) if not @bias;
    $self->add('MatMul', [$data, $turned], "$n->{name}_product");
    return $self->add('Add', ["$n->{name}_product", @bias], $n->{name});
}

sub _norm
{
    my ($self, $n) = @_;
    my ($data, $gamma, @others) = @{ $n->{inputs} };
    my ($p, $name) = @$n{qw(p name)};
    _fail("export_model: BatchNorm $name on axis $p->{axis} is not supported, want 1") if ($p->{axis} // 1) != 1;
    if (_yes($p->{fix_gamma} // 1)) {
        my ($count) = @{ $self->{params}{ $others[0] }->shape };
        $gamma = $self->constant("${name}_ones", [(1) x $count], [$count], $self->{dtype});
    }
    return $self->add(
        'BatchNormalization', [$data, $gamma, @others], $name,
        epsilon => \($p->{eps} // 1e-3),
        momentum => \($p->{momentum} // 0.9)
    );
}

sub _pooling
{
    my ($self, $n) = @_;
    my $p = $n->{p};
    my $kind = { max => 'Max', avg => 'Average' }->{ $p->{pool_type} // 'max' }
        // _fail("export_model: Pooling $n->{name} with pool_type $p->{pool_type} is not supported");
    return $self->add("Global${kind}Pool", $n->{inputs}, $n->{name}) if _yes($p->{global_pool});
    my %window = _window($p);
    delete $window{dilations};
    return $self->add(
        "${kind}Pool", $n->{inputs}, $n->{name}, %window,
        ceil_mode => ($p->{pooling_convention} // '') eq 'full' ? 1 : 0,
        $kind eq 'Average' ? (count_include_pad => _yes($p->{count_include_pad} // 1) ? 1 : 0) : ()
    );
}

sub _reshape
{
    my ($self, $n) = @_;
    my @shape = _list($n->{p}{shape});
    @shape = @{ $self->{shapes}{"$n->{name}_output"} } if grep { $_ < -1 } @shape or _yes($n->{p}{reverse});
    return $self->add('Reshape', [$n->{inputs}[0], $self->whole("$n->{name}_shape", @shape)], $n->{name});
}

sub _split
{
    my ($self, $n) = @_;
    my @pieces = @{ $n->{outputs} };
    my $axis = $n->{p}{axis} // 1;
    return $self->add('Split', $n->{inputs}, \@pieces, axis => $axis) if not _yes($n->{p}{squeeze_axis});
    $self->add('Split', $n->{inputs}, [map { "${_}_whole" } @pieces], axis => $axis);
    my $axes = $self->whole("$n->{name}_axes", $axis);
    $self->add('Squeeze', ["${_}_whole", $axes], $_) for @pieces;
    return;
}

sub _slice_axis
{
    my ($self, $n) = @_;
    my ($axis, $begin, $end) = @{ $n->{p} }{qw(axis begin end)};
    return $self->slice($n->{inputs}[0], $n->{name}, $axis, $begin, _defined_number($end) ? $end : 2**31 - 1);
}

sub _clip
{
    my ($self, $n) = @_;
    my @bounds = map { $self->constant("$n->{name}_$_", [$n->{p}{$_}], [], $self->{dtype}) } qw(a_min a_max);
    return $self->add('Clip', [$n->{inputs}[0], @bounds], $n->{name});
}

sub _dot
{
    my ($self, $n) = @_;
    my @sides = @{ $n->{inputs} };
    my @turn = $n->{op} eq 'batch_dot' ? (0, 2, 1) : (1, 0);
    for my $i (0, 1) {
        next if not _yes($n->{p}{ $i ? 'transpose_b' : 'transpose_a' });
        $sides[$i] = $self->add('Transpose', [$sides[$i]], "$n->{name}_turned$i", perm => \@turn);
    }
    return $self->add('MatMul', \@sides, $n->{name});
}

# The numbers of a value that depends on parameters alone.
sub known
{
    my ($self, $name) = @_;
    return $self->{params}{$name} if $self->{params}{$name};
    my $symbol = $self->{internals}->slice("${name}_output");
    my @names = @{ $symbol->list_arguments };
    my @others = grep { !$self->{params}{$_} } @names;
    _fail("export_model: $name depends on @others, want parameters alone") if @others;
    return $symbol->eval(args => { map { $_ => $self->{params}{$_} } @names })->[0];
}

sub shape_of { my ($self, $name) = @_; return $self->{shapes}{$name} // $self->{shapes}{"${name}_output"} }

sub _zeros
{
    my ($self, $n) = @_;
    my $shape = $self->shape_of($n->{name});
    return $self->constant($n->{name}, [(0) x List::Util::product(1, @$shape)], $shape, $self->{dtype});
}

sub _axes_of
{
    my $op = shift;
    return sub {
        my ($self, $n) = @_;
        my @axes = _list($n->{p}{axis});
        my @inputs = ($n->{inputs}[0], @axes ? $self->whole("$n->{name}_axes", @axes) : ());
        $self->add($op, \@inputs, $n->{name});
    };
}

my %RULE = (
    FullyConnected => \&_dense,
    BatchNorm => \&_norm,
    Pooling => \&_pooling,
    LeakyReLU => \&_leaky,
    Reshape => \&_reshape,
    SliceChannel => \&_split,
    slice_axis => \&_slice_axis,
    clip => \&_clip,
    RNN => \&AI::MXNet::Contrib::ONNX::Recurrent::write_layers,
    _rnn_param_concat => sub { return },    # RNN takes its value
    _zeros => \&_zeros,
    dot => \&_dot,
    batch_dot => \&_dot,
    Convolution => sub {
        my ($self, $n) = @_;
        $self->add('Conv', $n->{inputs}, $n->{name}, _window($n->{p}), group => $n->{p}{num_group} // 1);
    },
    Deconvolution => sub {
        my ($self, $n) = @_;
        my @adjust = _list($n->{p}{adj});
        $self->add(
            'ConvTranspose', $n->{inputs}, $n->{name}, _window($n->{p}),
            group => $n->{p}{num_group} // 1,
            output_padding => @adjust ? \@adjust : undef
        );
    },
    Activation => sub {
        my ($self, $n) = @_;
        $self->add($ACTIVATION{ $n->{p}{act_type} }, $n->{inputs}, $n->{name});
    },
    Concat => sub {
        my ($self, $n) = @_;
        $self->add('Concat', $n->{inputs}, $n->{name}, axis => $n->{p}{dim} // 1);
    },
    Flatten => sub {
        my ($self, $n) = @_;
        $self->add('Flatten', $n->{inputs}, $n->{name}, axis => 1);
    },
    transpose => sub {
        my ($self, $n) = @_;
        my @axes = _list($n->{p}{axes});
        $self->add('Transpose', $n->{inputs}, $n->{name}, perm => @axes ? \@axes : undef);
    },
    Embedding => sub {
        my ($self, $n) = @_;
        my $index = $self->cast($n->{inputs}[0], "$n->{name}_index", 'int64');
        $self->add('Gather', [$n->{inputs}[1], $index], $n->{name}, axis => 0);
    },
    Cast => sub {
        my ($self, $n) = @_;
        $self->cast($n->{inputs}[0], $n->{name}, $n->{p}{dtype});
    },
    InstanceNorm => sub {
        my ($self, $n) = @_;
        $self->add('InstanceNormalization', $n->{inputs}, $n->{name}, epsilon => \($n->{p}{eps} // 1e-3));
    },
    LRN => sub {
        my ($self, $n) = @_;
        my $p = $n->{p};
        $self->add(
            'LRN', $n->{inputs}, $n->{name},
            size => $p->{nsize},
            alpha => \($p->{alpha} // 1e-4),
            beta => \($p->{beta} // 0.75),
            bias => \($p->{knorm} // 2)
        );
    },
    square => sub {
        my ($self, $n) = @_;
        $self->add('Mul', [($n->{inputs}[0]) x 2], $n->{name});
    },
    expand_dims => _axes_of('Unsqueeze'),
    squeeze => _axes_of('Squeeze'),
    softmax => _softmax('Softmax', -1),
    log_softmax => _softmax('LogSoftmax', -1),
    SoftmaxOutput => _softmax('Softmax', 1),
    (map { $_ => _renamed('Identity') } qw(Dropout _copy BlockGrad make_loss)),
    LinearRegressionOutput => sub { $_[0]->add('Identity', [$_[1]{inputs}[0]], $_[1]{name}) },
    LogisticRegressionOutput => sub { $_[0]->add('Sigmoid', [$_[1]{inputs}[0]], $_[1]{name}) },
    (
        map { $_->[0] => _renamed($_->[1]) } [relu => 'Relu'],
        [sigmoid => 'Sigmoid'],
        [tanh => 'Tanh'],
        [softsign => 'Softsign'],
        [exp => 'Exp'],
        [log => 'Log'],
        [sqrt => 'Sqrt'],
        [abs => 'Abs'],
        [negative => 'Neg'],
        [floor => 'Floor'],
        [ceil => 'Ceil'],
        [sin => 'Sin'],
        [cos => 'Cos'],
        [erf => 'Erf'],
        [reciprocal => 'Reciprocal'],
        [add_n => 'Sum'],
        [shape_array => 'Shape']
    ),
    (
        map {
            my $op = $_;
            my $onnx = {
                add => 'Add',
                sub => 'Sub',
                mul => 'Mul',
                div => 'Div',
                power => 'Pow',
                maximum => 'Max',
                minimum => 'Min'
            }->{$op};
            map { ("${_}_$op" => _renamed($onnx)) } qw(elemwise broadcast)
        } qw(add sub mul div power maximum minimum)
    ),
    _power => _renamed('Pow'),
    _maximum => _renamed('Max'),
    _minimum => _renamed('Min'),
    (
        map { $_->[0] => _with_number(@$_[1, 2]) } [_plus_scalar => 'Add'],
        [_minus_scalar => 'Sub'],
        [_rminus_scalar => 'Sub', 1],
        [_mul_scalar => 'Mul'],
        [_div_scalar => 'Div'],
        [_rdiv_scalar => 'Div', 1],
        [_power_scalar => 'Pow'],
        [_rpower_scalar => 'Pow', 1],
        [_maximum_scalar => 'Max'],
        [_minimum_scalar => 'Min']
    ),
    (map { $_ => _reduction('Reduce' . ucfirst) } qw(sum mean max min prod)),
);

# -- the model

sub _value_info
{
    my ($name, $shape, $dtype) = @_;
    my $tensor = { elem_type => _type($name, $dtype), shape => { dim => [map { +{ dim_value => $_ } } @$shape] } };
    return { name => $name, type => { tensor_type => $tensor } };
}

# A hash for the codec.
sub model
{
    my ($symbol, $params, $shapes, $dtype) = @_;
    my $self = bless { params => $params, nodes => [], tensors => [], dtype => $dtype }, __PACKAGE__;
    my $graph = JSON::PP->new->decode($symbol->tojson);
    my @nodes = @{ $graph->{nodes} };
    my @inputs = grep { !$params->{$_} && !/label$/ } @{ $symbol->list_arguments };
    _fail('export_model: got ' . @$shapes . ' input shapes, want ' . @inputs . ": @inputs") if @$shapes != @inputs;
    my %given;
    @given{@inputs} = @$shapes;
    my $internals = $self->{internals} = $symbol->get_internals;
    my (undef, $found) = $internals->infer_shape(%given);
    _fail('export_model: the shapes of the inputs do not tell all others') if not $found;
    my @names = @{ $internals->list_outputs };
    @{ $self->{shapes} }{@names} = @$found;
    my @values;    # names by node and output

    for my $node (@nodes) {
        my ($name, $op) = @$node{qw(name op)};
        if ($op eq 'null') {
            push @values, [$name];
            next;
        }
        my $rule = $RULE{$op} // _fail("export_model: operator $op of node $name is not supported");
        my $count = grep { /^\Q$name\E_output\d*$/ } @names;
        my @outputs = $count > 1 || $op eq 'SliceChannel' ? map { "${name}_output$_" } 0 .. $count - 1 : $name;
        push @values, \@outputs;
        my @from = map { $values[$_->[0]][$_->[1]] } @{ $node->{inputs} };
        $rule->($self, { name => $name, op => $op, p => $node->{attrs} // {}, inputs => \@from, outputs => \@outputs });
    }
    my @heads = map { $values[$_->[0]][$_->[1]] } @{ $graph->{heads} };

    # What nobody reads stays out.
    my %used = map { $_ => 1 } @heads;
    my @kept;
    for my $node (reverse @{ $self->{nodes} }) {
        next if not grep { $used{$_} } @{ $node->{output} };
        unshift @kept, $node;
        $used{$_} = 1 for @{ $node->{input} };
    }
    for my $name (sort keys %$params) {
        $self->tensor($name, $params->{$name}, $params->{$name}->shape) if $used{$name};
    }
    my @out_names = @{ $symbol->list_outputs };
    return {
        ir_version => 7,
        producer_name => 'Keshi',
        opset_import => [{ domain => '', version => 13 }],
        graph => {
            name => $symbol->name // 'group',
            node => \@kept,
            initializer => [grep { $used{ $_->{name} } } @{ $self->{tensors} }],
            input => [map { _value_info($_, $given{$_}, $dtype) } grep { $used{$_} } @inputs],
            output => [map { _value_info($heads[$_], $self->{shapes}{ $out_names[$_] }, $dtype) } 0 .. $#heads],
        },
    };
}

1;
