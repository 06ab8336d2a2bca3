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
    my $kind = $n->{a}{approximate} // 'none';
    _fail("import_model: Gelu $n->{name} with approximate $kind is not supported, want none") if $kind ne 'none';
    return _sym->LeakyReLU($n->{in}[0], act_type => 'gelu', name => $n->{name});
}

1;
