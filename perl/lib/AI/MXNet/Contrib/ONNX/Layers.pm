package AI::MXNet::Contrib::ONNX::Layers;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Symbol;

# Nodes that are layers: each gets the importer and a node, and returns the symbol of its output.

sub _fail { return AI::MXNet::Keshi::fail(@_) }
sub _sym { return 'AI::MXNet::Symbol' }

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

sub conv
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

sub pool
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
sub gemm
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

sub normalization
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

sub prelu
{
    my ($self, $n) = @_;
    $self->{tensors}{ $n->{names}[1] } = $self->tensor_of($n, 1)->reshape([-1]);
    return _sym->LeakyReLU({ data => $n->{in}[0], gamma => $n->{in}[1], act_type => 'prelu', name => $n->{name} });
}

sub layer_norm
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

sub gelu
{
    my ($self, $n) = @_;
    my ($kind, $x) = ($n->{a}{approximate} // 'none', $n->{in}[0]);
    return _sym->LeakyReLU($x, act_type => 'gelu', name => $n->{name}) if $kind eq 'none';
    _fail("import_model: Gelu $n->{name} with approximate $kind is not supported, want none or tanh")
        if $kind ne 'tanh';
    my $inner = ($x + $x * $x * $x * 0.044715) * sqrt(2 / 3.14159265358979);
    return $x * (_sym->tanh($inner) + 1) * 0.5;
}

# By whole numbers along any axis with the nearest neighbours, or linearly along the last two of four.
sub resized
{
    my ($self, $n) = @_;
    my ($x, %a) = ($n->{in}[0], %{ $n->{a} });
    my $fail = sub { _fail("import_model: $n->{op} $n->{name} @_") };
    my $is_first = $n->{op} eq 'Upsample' || @{ $n->{names} } == 2;
    my @scale = $a{scales} ? @{ $a{scales} } : $self->numbers($n, $is_first ? 1 : 2);
    my @size = $is_first ? () : $self->numbers($n, 3);
    my ($mode, $from) =
        ($a{mode} // 'nearest', $a{coordinate_transformation_mode} // ($is_first ? 'asymmetric' : 'half_pixel'));
    $fail->('of a part of its axes is not supported') if $a{axes};
    $fail->('has neither scales nor sizes') if not @scale and not @size;
    my $by_size = !@scale;

    if ($by_size) {
        my ($shape, $other) = $self->shapes($n->{names}[0]);
        $fail->('is of a value whose shape the file does not tell') if not $shape;

        # An open size stays as it is; the file tells how the others change.
        @scale = map { $shape->[$_] == $other->[$_] ? $size[$_] / $shape->[$_] : 1 } 0 .. $#size;
        $fail->('to sizes is of a value whose height or width is open')
            if grep { $shape->[$_] != $other->[$_] } 2 .. $#size;
    }
    my @axes = grep { $scale[$_] != 1 } 0 .. $#scale;
    if ($mode eq 'nearest') {
        my $rounds = $is_first ? 'floor' : $a{nearest_mode} // 'round_prefer_floor';
        for my $axis (@axes) {
            my $times = $scale[$axis];
            # Every element becomes as many that are nearest to it.
            my $repeats = $from eq 'asymmetric' ? $rounds eq 'floor' : $from eq 'half_pixel' && $rounds =~ /^round_/;
            $fail->("to $times times an axis, nearest ($from, $rounds), is not supported, want whole numbers of times")
                if $times != int $times
                or $times < 1
                or not $repeats;
            $x = _sym->repeat($x, repeats => $times, axis => $axis);
        }
        return $x;
    }
    my $corners = { align_corners => 1, half_pixel => 0, pytorch_half_pixel => 0 }->{$from};
    $fail->("by $mode ($from) is not supported, want nearest, or linear from half_pixel or align_corners")
        if $mode ne 'linear' or not defined $corners;
    $fail->('resizes other axes than the last two of four') if @scale != 4 or grep { $_ < 2 } @axes;
    $fail->('smaller with antialias is not supported') if $a{antialias} and grep { $_ < 1 } @scale;
    return _sym->contrib->BilinearResize2D(
        $x,
        (
            $by_size
            ? (height => $size[2], width => $size[3])
            : (scale_height => $scale[2], scale_width => $scale[3])
        ),
        align_corners => $corners,
        name => $n->{name}
    );
}

1;
