package AI::MXNet::NDArray::Sparse::Calls;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::NDArray::Sparse::Kernels;
use Scalar::Util qw(blessed);

# Calls with sparse arrays among their arguments, which the C side sends here. Where there is a kernel for them, it gets the call. All
# others run on dense arrays: what was written into goes back to the sparse array it stands for, and results are sparse where
# MXNet's storage inference says so.

sub _is_sparse { return blessed($_[0]) && $_[0]->isa('AI::MXNet::NDArray::Sparse') }
sub _is_array { return blessed($_[0]) && $_[0]->isa('AI::MXNet::NDArray') }
sub _stype { return _is_sparse($_[0]) ? $_[0]->stype : 'default' }

# Functions that keep 0, so that what is not stored need not be computed.
my %KEEPS = map { $_ => 1 } qw(
    abs arcsin arcsinh arctan arctanh cbrt ceil degrees expm1 fix floor log1p negate negative radians relu rint round sign sin sinh
    sqrt square tan tanh trunc zeros_like _copy identity _copyto Cast cast make_loss stop_gradient BlockGrad
);
my %ALIKE = map { $_ => 1 } qw(
    add subtract multiply maximum minimum elemwise_add elemwise_sub elemwise_mul _plus _minus _mul broadcast_add broadcast_plus
    broadcast_sub broadcast_minus broadcast_mul _Plus _Minus _Mul add_n ElementWiseSum _grad_add
);
my %SCALED = map { $_ => 1 } qw(multiply divide true_divide _mul_scalar _div_scalar _MulScalar _DivScalar);

# The value of a parameter by name, of pairs or a hash at the end.
sub _param
{
    my ($name, @args) = @_;
    return $args[-1]{$name} if ref $args[-1] eq 'HASH';
    for (my $i = $#args - 1; $i >= 1; $i--) {
        return $args[$i + 1] if defined $args[$i] and not ref $args[$i] and $args[$i] eq $name;
    }
    return;
}

# The storage type of the result.
sub _result
{
    my ($name, @args) = @_;
    my @arrays = grep { _is_array($_) } @args, ref $args[-1] eq 'HASH' ? values %{ $args[-1] } : ();
    my @stypes = map { _stype($_) } @arrays;
    my $first = $stypes[0] // 'default';
    my %kinds = map { $_ => 1 } @stypes;
    my $alike = keys %kinds == 1;
    my $shapes = @arrays < 2 || !grep { "@{ $_->shape }" ne "@{ $arrays[0]->shape }" } @arrays;
    if ($name eq 'cast_storage') { return _param('stype', @args) // $args[-1] }
    return $first if $KEEPS{$name} and @arrays == 1;

    if ($name eq 'clip' and $first ne 'default') {
        my ($low, $high) = (_param('a_min', @args), _param('a_max', @args));
        ($low, $high) = grep { defined and !ref and /\d/ } @args if not defined $low;
        return ($low // 0) <= 0 && ($high // 0) >= 0 ? $first : 'default';
    }
    return $first if $SCALED{$name} and @arrays == 1 and ($name eq 'multiply' or not $args[2]);
    return $first if $ALIKE{$name} and $alike and $shapes and @arrays > 1;
    return $first
        if $name =~ /^(?:multiply|elemwise_mul|broadcast_mul|_mul)$/
        and @arrays == 2
        and $shapes
        and $stypes[1] eq 'default';
    if ($name eq 'dot') {
        my $asked = _param('forward_stype', @args);
        return $asked if defined $asked;
        return $first eq 'csr' && _param('transpose_a', @args) ? 'row_sparse' : 'default';
    }
    return 'csr' if $name =~ /^(?:slice|crop)$/ and $first eq 'csr';
    return 'csr' if $name =~ /^concat$/i and $alike and $first eq 'csr' and !(_param('dim', @args) // 1);
    return 'row_sparse' if $name eq '_square_sum' and $first eq 'row_sparse' and _param('keepdims', @args);
    return 'default';
}

# The methods behind overloads as operators: of two arrays, of an array and a number, of a number and an array.
my %METHOD = (
    add => ['broadcast_add'],
    subtract => ['broadcast_sub'],
    multiply => ['broadcast_mul', '_mul_scalar', '_mul_scalar'],
    divide => [undef, '_div_scalar'],
);

# A call of a method: operator, inputs and parameters by name.
sub _method
{
    my ($name, @operands) = @_;
    shift @operands if not ref $operands[0] and @operands > 2;
    my ($lhs, $rhs, $swapped) = @operands;
    my ($both, $right, $left) = @{ $METHOD{$name} };
    return ($both, $swapped ? [$rhs, $lhs] : [$lhs, $rhs], {}) if _is_array($lhs) and _is_array($rhs);
    ($lhs, $rhs, $swapped) = ($rhs, $lhs, 1) if _is_array($rhs);
    return ($swapped ? $left : $right, [$lhs], { scalar => $rhs });
}

# As much of the C side's reading of arguments: inputs, parameters by name, and where the result shall go.
sub _read
{
    my ($name, $self, @args) = @_;
    my %named = ref $args[-1] eq 'HASH' ? %{ pop @args } : ();
    while (@args > 1 and defined $args[-2] and not ref $args[-2] and $args[-2] =~ /^[a-z_]\w*$/i) {
        my ($key, $value) = splice @args, -2;
        $named{$key} = $value;
    }
    my $operator = AI::MXNet::Keshi::operator($name);
    my @names = map { $_->{name} } @{ $operator->{params} };
    my @inputs = grep { _is_array($_) } @args;
    for my $value (grep { !_is_array($_) } @args) {
        my $param = shift @names // last;
        $named{$param} //= $value;
    }
    my $out = delete $named{out};
    if (my @by_name = grep { _is_array($named{$_}) } @{ $operator->{inputs} }) {
        # Those by position fill the places between.
        push @inputs, delete @named{@by_name};
        return if @inputs > @by_name;
    }
    unshift @inputs, $self if not @inputs and not defined $out and ref $self;
    return (\@inputs, \%named, $out);
}

# What a kernel makes of the call, or nothing.
sub _by_kernel
{
    my ($name, @args) = @_;
    my ($operator, $inputs, $params, $out) = ($name);
    my $target;
    if ($name =~ /^i(\w+)$/ and $METHOD{$1}) {
        ($operator, $inputs, $params) = _method($1, @args[0, 1]);
        $target = $args[0];
    } elsif ($METHOD{$name}) {
        ($operator, $inputs, $params) = _method($name, @args);
    } elsif ($name eq 'negate') {
        ($operator, $inputs, $params) = (negative => [$args[0]], {});
    } else {
        return if not $AI::MXNet::NDArray::Sparse::Kernels::KERNEL{$name};
        ($inputs, $params, $out) = _read($name, @args) or return;
    }
    my $kernel = $AI::MXNet::NDArray::Sparse::Kernels::KERNEL{ $operator // '' } or return;
    my $is_update = $kernel == \&AI::MXNet::NDArray::Sparse::Kernels::update;
    my $result = AI::MXNet::NDArray::Sparse::Kernels::call($kernel, $operator, $inputs, $params, $is_update ? $out : ())
        // return;
    $target //= $is_update ? undef : $out;
    if (defined $target) {
        return if not _is_array($target);
        return _is_sparse($target) ? $target->set($result) : $result->copyto($target);
    }
    return $result;
}

# The value with dense arrays for sparse ones; `$entries` notes which stands for which.
sub _dense
{
    my ($value, $entries) = @_;
    return [map { _dense($_, $entries) } @$value] if ref $value eq 'ARRAY' and grep { _is_sparse($_) } @$value;
    return $value if not _is_sparse($value);
    my $entry = $entries->{ $value->handle } //= do {
        my $array = AI::MXNet::AutoGrad->is_recording && $value->stype eq 'csr' ? $value->twin : $value->dense;
        $array->writable($value->writable);
        { sparse => $value, array => $array, version => AI::MXNet::Keshi::version($array) };
    };
    return $entry->{array};
}

# `$function` is the full name of the C function, the rest what it was called with.
sub invoke
{
    my ($function, @args) = @_;
    my ($name) = $function =~ /(\w+)$/;
    my $known = _by_kernel($name, @args);
    return $known if defined $known;
    my %dense;
    my $stype = _result($name, @args);
    my @plain = map {
        my $arg = $_;
        ref $arg eq 'HASH' ? { map { $_ => _dense($arg->{$_}, \%dense) } keys %$arg } : _dense($arg, \%dense)
    } @args;
    my $result = do {
        no strict 'refs';
        &{$function}(@plain);
    };
    my %back;
    for my $entry (values %dense) {
        $back{ $entry->{array}->handle } = $entry->{sparse};
        $entry->{sparse}->take($entry->{array}) if AI::MXNet::Keshi::version($entry->{array}) != $entry->{version};
    }
    my @results = map {
              !_is_array($_) ? $_
            : $back{ $_->handle } ? $back{ $_->handle }
            : $stype ne 'default' ? AI::MXNet::NDArray::Sparse->over($_, $stype, AI::MXNet::AutoGrad->is_recording)
            : $_
    } ref $result eq 'ARRAY' ? @$result : $result;
    return ref $result eq 'ARRAY' ? \@results : $results[0];
}

1;
