package AI::MXNet::NDArray::Sparse::Kernels;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::NDArray::Sparse::Parts;
use List::Util ();
use Scalar::Util qw(blessed);

# Operators that never make a sparse array dense. Each works on the parts with operators of the table, so that the tape sees it.
# A kernel gets the name, the inputs and the parameters, and returns the result, or nothing where it does not know better than the
# dense operator. While recording, an array with a dense twin is the twin's business. A row_sparse variable, and what is computed from
# it element by element, may have a gradient in rows that are not stored: such a result remembers what it is made of, and its rows are
# computed, for the tape, from those of the variable when they are asked for.

my $nd = 'AI::MXNet::NDArray';

sub _is_sparse { return blessed($_[0]) && $_[0]->isa('AI::MXNet::NDArray::Sparse') }

sub _is
{
    my ($stype, @arrays) = @_;
    return !grep { !_is_sparse($_) || $_->stype ne $stype } @arrays;
}

sub _alike
{
    my ($first, @rest) = @_;
    return !grep { "@{ $_->shape }" ne "@{ $first->shape }" } @rest;
}

sub _of { return AI::MXNet::NDArray::Sparse->_of_parts(@_) }

# The same places with other data.
sub _with
{
    my ($array, $data) = @_;
    return _of($array->stype, $array->shape, { %{ $array->_parts }, data => $data });
}

# Whether an array is a variable's, or made of one's.
sub _is_taped { return _is_sparse($_[0]) && ($_[0]{owner} || $_[0]{made}) }

sub _is_twin { return $_[0]{twin} && AI::MXNet::AutoGrad->is_recording }

# Parts that the tape may see.
sub _live
{
    my $array = shift;
    return if AI::MXNet::AutoGrad->is_recording and ($array->{twin} or _is_taped($array));
    return $array->_parts;
}

# Rows of an array, zeros where a row_sparse one has none; the numbers ascend.
sub rows
{
    my ($array, $wanted) = @_;
    return $nd->take($array, $wanted) if not _is_sparse($array);
    my $is_recording = AI::MXNet::AutoGrad->is_recording;
    if (my $made = $is_recording && $array->{made}) {
        return $made->{by}->(map { rows($_, $wanted) } @{ $made->{of} });
    }
    my $parts = $array->_parts;
    my $rows = $nd->_ks_read_rows($parts->{data}, $parts->{indices}, $wanted);
    return $rows if not $is_recording or not $array->{owner};
    return $nd->_ks_owned_rows($rows, $wanted, $array->{owner});
}

# A kernel that goes element by element, on arrays of which some are a variable's.
sub _made
{
    my ($kernel, $name, $inputs, $params) = @_;
    return if grep { _is_sparse($_) && ($_->stype ne 'row_sparse' || $_->{twin}) } @$inputs;
    my $result;
    AI::MXNet::AutoGrad->pause(sub { $result = $kernel->($name, $inputs, $params) },
        train_mode => AI::MXNet::AutoGrad->is_training);
    return if not defined $result or $result->stype ne 'row_sparse';
    $result->{made} = { of => [@$inputs], by => sub { $nd->$name(@_, {%$params}) } };
    return $result;
}

# -- one array

sub unary
{
    my ($name, $inputs, $params) = @_;
    my ($array) = @$inputs;
    my $parts = _live($array) or return;
    return _with($array, $nd->$name($parts->{data}, $params));
}

# Numbers by name, in either spelling.
sub scaled
{
    my ($name, $inputs, $params) = @_;
    my ($array) = @$inputs;
    my $parts = _live($array) or return;
    my $scalar = $params->{scalar};
    return _with($array, $name =~ /div/i ? $parts->{data} / $scalar : $parts->{data} * $scalar);
}

sub clip
{
    my ($name, $inputs, $params) = @_;
    return if $params->{a_min} > 0 or $params->{a_max} < 0;
    return unary(@_);
}

sub zeros_like
{
    my ($name, $inputs) = @_;
    my $array = $inputs->[0];
    return AI::MXNet::NDArray::Sparse->zeros(
        $array->stype, $array->shape,
        dtype => $array->dtype,
        ctx => $array->context
    );
}

# -- sums and products of several of one shape

# Data and numbers of several sparse arrays, added up where the numbers agree.
sub _merged
{
    my ($data, $numbers) = @_;
    my ($found, $places) = AI::MXNet::Keshi::distinct($nd->concat(@$numbers, dim => 0));
    my $size = $found->size;
    return ($nd->concat(@$data, dim => 0), $found) if not $size;
    return ($nd->_ks_add_rows($nd->concat(@$data, dim => 0), $places, axis => 0, size => $size), $found);
}

sub added
{
    my ($name, $inputs) = @_;
    my ($first, @rest) = @$inputs;
    return if not @rest or not _is_sparse($first) or not _is($first->stype, @rest) or not _alike($first, @rest);
    my @parts = map { _live($_) // return } @$inputs;
    my @data = map { $_->{data} } @parts;
    @data[1 .. $#data] = map { -$_ } @data[1 .. $#data] if $name =~ /sub|minus/i;
    my $shape = $first->shape;
    if ($first->stype eq 'row_sparse') {
        my ($data, $indices) = _merged(\@data, [map { $_->{indices} } @parts]);
        return _of(row_sparse => $shape, { data => $data, indices => $indices });
    }
    my ($data, $keys) = _merged(\@data, [map { _keys($_, $shape) } @parts]);
    return _of(csr => $shape, { data => $data, AI::MXNet::NDArray::Sparse::Parts::places_of_keys($keys, $shape) });
}

sub multiplied
{
    my ($name, $inputs) = @_;
    my ($lhs, $rhs) = @$inputs;
    return if not _is_sparse($lhs) or not _alike($lhs, $rhs) or _is_sparse($rhs) and $lhs->stype ne $rhs->stype;
    my $parts = _live($lhs) or return;
    my $shape = $lhs->shape;
    my $is_csr = $lhs->stype eq 'csr';
    my $keys = $is_csr ? _keys($parts, $shape) : $parts->{indices};
    return _with($lhs, $parts->{data}) if not $keys->size;
    my $other;

    if (not _is_sparse($rhs)) {
        $other = $nd->take($is_csr ? $rhs->reshape([-1]) : $rhs, $keys);
    } elsif ($is_csr) {
        my $theirs = _live($rhs) or return;
        $other = $nd->_ks_read_rows($theirs->{data}, _keys($theirs, $shape), $keys);
    } else {
        _live($rhs) or return;
        $other = rows($rhs, $keys);
    }
    return _with($lhs, $parts->{data} * $other);
}

# -- matrix products

sub _csr_dot
{
    my ($parts, $indices, $rhs, $columns, $transpose) = @_;
    return $nd->_ks_csr_dot(
        $parts->{data}, $indices, $parts->{indptr}, $rhs,
        columns => $columns,
        transpose_a => $transpose ? 1 : 0
    );
}

sub dot
{
    my ($name, $inputs, $params) = @_;
    my ($lhs, $rhs) = @$inputs;
    my ($transpose_a, $transpose_b) = map { $params->{$_} ? 1 : 0 } qw(transpose_a transpose_b);
    my $wanted = $params->{forward_stype} // '';
    if (not _is_sparse($lhs)) {
        return if not _is('csr', $rhs) or $lhs->ndim != 2 or $wanted !~ /^(?:default)?$/;
        # The product of the transposed ones, the other way round.
        my $left = $transpose_a ? $lhs : $lhs->T;
        my $product = dot($name, [$rhs, $left], { transpose_a => !$transpose_b, forward_stype => 'default' });
        return $product && $product->T;
    }
    return if not _is('csr', $lhs) or $rhs->ndim > 2 or _is('csr', $rhs);
    my $parts = _live($lhs) or return;
    my ($rows, $columns) = @{ $lhs->shape };
    if (_is_sparse($rhs)) {
        return if $transpose_b or $rhs->ndim != 2 or _is_twin($rhs);
        if ($transpose_a) {
            my $all = $nd->arange(start => 0, stop => $rows, dtype => 'int64');
            return dot($name, [$lhs, rows($rhs, $all)], $params);
        }
        return if $columns != $rhs->shape->[0];
        my ($found, $places) = AI::MXNet::Keshi::distinct($parts->{indices});
        return _csr_dot($parts, $places, rows($rhs, $found), $found->size);
    }
    my $is_line = $rhs->ndim == 1;
    my $dense = $is_line ? $rhs->reshape([-1, 1]) : $transpose_b ? $rhs->T : $rhs;
    return if $dense->shape->[0] != ($transpose_a ? $rows : $columns) or $wanted eq 'csr';
    if ($transpose_a and $wanted ne 'default' and not $is_line) {
        my ($found, $places) = AI::MXNet::Keshi::distinct($parts->{indices});
        my $product = _csr_dot($parts, $places, $dense, $found->size, 1);
        return _of(row_sparse => [$columns, $dense->shape->[1]], { data => $product, indices => $found });
    }
    my $product = _csr_dot($parts, $parts->{indices}, $dense, $columns, $transpose_a);
    return $is_line ? $product->reshape([-1]) : $product;
}

# Rows of a row_sparse weight by number.
sub embedding
{
    my ($name, $inputs, $params) = @_;
    my ($data, $weight) = @$inputs;
    return if _is_sparse($data) or not _is('row_sparse', $weight) or _is_twin($weight);
    my $index = $nd->clip($data->detach, 0, $weight->shape->[0] - 1);
    my ($found, $places) = AI::MXNet::Keshi::distinct($index);
    return $nd->Embedding(
        $places->reshape($data->shape), rows($weight, $found),
        input_dim => $found->size,
        output_dim => $weight->shape->[1],
        dtype => $weight->dtype
    );
}

# -- reductions

sub _axes
{
    my ($params, $ndim) = @_;
    return if $params->{exclude};
    my $axis = $params->{axis};
    return [] if not defined $axis;
    return [sort { $a <=> $b } map { $_ < 0 ? $_ + $ndim : $_ } ref $axis ? @$axis : $axis];
}

# Sums of the elements of a matrix, or of what `$of` makes of them.
sub _sums
{
    my ($array, $params, $of) = @_;
    return if $array->ndim != 2;
    my $axes = _axes($params, 2) // return;
    my $parts = _live($array) or return;
    my ($rows, $columns) = @{ $array->shape };
    my $is_csr = $array->stype eq 'csr';
    my $data = $of ? $of->($parts->{data}) : $parts->{data};
    return if not $parts->{indices}->size;
    my $keep = $params->{keepdims};
    return $data->sum->reshape([$keep ? (1, 1) : 1]) if @$axes != 1;

    if ($axes->[0] == 1) {
        my $where = $is_csr ? AI::MXNet::NDArray::Sparse::Parts::element_rows($parts) : $parts->{indices};
        my $sums = $is_csr ? $data : $data->sum(axis => 1);
        $sums = $nd->_ks_add_rows($sums, $where, axis => 0, size => $rows);
        return $keep ? $sums->reshape([$rows, 1]) : $sums;
    }
    my $sums =
        $is_csr ? $nd->_ks_add_rows($data, $parts->{indices}, axis => 0, size => $columns) : $data->sum(axis => 0);
    return $keep ? $sums->reshape([1, $columns]) : $sums;
}

sub sum
{
    my ($name, $inputs, $params) = @_;
    return _sums($inputs->[0], $params);
}

sub mean
{
    my ($name, $inputs, $params) = @_;
    my $sums = _sums($inputs->[0], $params) // return;
    return $sums * (List::Util::product(@{ $sums->shape }) / List::Util::product(@{ $inputs->[0]->shape }));
}

sub square_sum
{
    my ($name, $inputs, $params) = @_;
    my ($array) = @$inputs;
    my $axes = _axes($params, $array->ndim) // return;
    if (_is('row_sparse', $array) and $array->ndim == 2 and "@$axes" eq '1' and $params->{keepdims}) {
        my $parts = _live($array) or return;
        my $sums = $parts->{data}->square->sum(axis => 1, keepdims => 1);
        return _of(row_sparse => [$array->shape->[0], 1], { data => $sums, indices => $parts->{indices} });
    }
    return _sums($array, $params, sub { $_[0]->square });
}

# The length, to which what is not stored adds nothing.
sub norm
{
    my ($name, $inputs, $params) = @_;
    my ($array) = @$inputs;
    return if defined $params->{axis} or $params->{keepdims} or ($params->{ord} // 2) != 2;
    my $parts = _live($array) or return;
    return if not $parts->{indices}->size;
    return $nd->norm($parts->{data});
}

# -- parts of arrays

# Rows that are asked for, as they are stored, and zeros for those that are not.
sub retain
{
    my ($name, $inputs) = @_;
    my ($array, $ids) = @$inputs;
    return if not _is('row_sparse', $array) or _is_twin($array);
    my ($wanted) = AI::MXNet::Keshi::distinct($ids);
    my $rows = $array->shape->[0];
    if ($wanted->size) {
        for my $id (map { $_->asscalar } $wanted->slice(0), $wanted->slice(-1)) {
            AI::MXNet::Keshi::fail("retain: row $id of $rows") if $id < 0 or $id >= $rows;
        }
    }
    return _of(row_sparse => $array->shape, { data => rows($array, $wanted), indices => $wanted });
}

sub slice
{
    my ($name, $inputs, $params) = @_;
    my ($array) = @$inputs;
    return if not _is('csr', $array) or not _live($array) or defined $params->{step};
    my ($begin, $end) = map { ref $_ ? $_ : [$_] } @{$params}{qw(begin end)};
    return $array->slice(begin => $begin, end => $end);
}

sub concat
{
    my ($name, $inputs, $params) = @_;
    return if ($params->{dim} // 1) != 0 or not _is('csr', @$inputs);
    my @parts = map { _live($_) // return } @$inputs;
    my ($columns, $rows) = ($inputs->[0]->shape->[1], 0);
    my (@ends, $count);
    for my $i (0 .. $#parts) {
        return if $inputs->[$i]->shape->[1] != $columns;
        $rows += $inputs->[$i]->shape->[0];
        my $ends = $parts[$i]{indptr};
        push @ends, $count ? $ends->slice([1, $ends->size - 1]) + $count : $ends;
        $count += $parts[$i]{indices}->size;
    }
    my %joined;
    for my $what (qw(data indices)) {
        $joined{$what} = $nd->concat((map { $_->{$what} } @parts), dim => 0);
    }
    return _of(csr => [$rows, $columns], { %joined, indptr => $nd->concat(@ends, dim => 0) });
}

# -- updates of optimizers

# An update of the rows that a gradient has, of a weight and its states.
sub update_rows
{
    my ($operator, $arrays, $grad, $with) = @_;
    my $rows = $grad->indices;
    return if not $rows->size;
    my ($weight, @states) = my @parts = map { rows($_, $rows) } @$arrays;
    $nd->$operator($weight, $grad->data, @states, { %$with, out => $weight });
    for my $i (0 .. $#parts) {
        my $array = $arrays->[$i];
        if (_is_sparse($array)) { $array->put_rows($rows, $parts[$i]) }
        else {
            my $places = $rows->reshape([1, -1]);
            $nd->_scatter_set_nd($array, $parts[$i], $places, { shape => $array->shape, out => $array });
        }
    }
    return;
}

# States behind the weight and the gradient; rows without a gradient stay unless `lazy_update` is off. FTRL knows this for arrays of
# rows only: it makes weights from their states, so those of a dense weight without a gradient change too.
sub update
{
    my ($name, $inputs, $params, $out) = @_;
    my ($weight, $grad, @states) = @$inputs;
    return if not _is('row_sparse', $grad) or grep { $_->stype eq 'csr' } $weight, @states;
    return if defined $out and $out->handle != $weight->handle;
    return if $name eq 'ftrl_update' and grep { not _is('row_sparse', $_) } $weight, @states;
    my %with = %$params;
    my $lazy = $with{lazy_update} // 1;
    return if not $lazy;
    $weight = $weight->copy if not defined $out;
    update_rows($name, [$weight, @states], $grad, \%with);
    return $weight;
}

our %KERNEL = (
    (
        map { $_ => \&unary }
            qw(
            abs arcsin arcsinh arctan arctanh cbrt ceil degrees expm1 fix floor log1p negative radians relu rint round sign sin sinh
            sqrt square tan tanh trunc _copy Cast make_loss BlockGrad
            )
    ),
    clip => \&clip,
    zeros_like => \&zeros_like,
    _mul_scalar => \&scaled,
    _div_scalar => \&scaled,
    (map { $_ => \&added } qw(elemwise_add elemwise_sub broadcast_add broadcast_sub add_n)),
    (map { $_ => \&multiplied } qw(elemwise_mul broadcast_mul)),
    dot => \&dot,
    _contrib_SparseEmbedding => \&embedding,
    Embedding => \&embedding,
    sum => \&sum,
    mean => \&mean,
    _square_sum => \&square_sum,
    norm => \&norm,
    _sparse_retain => \&retain,
    Concat => \&concat,
    slice => \&slice,
    (map { $_ => \&update } qw(sgd_update sgd_mom_update adam_update ftrl_update _sparse_adagrad_update)),
);

my %BY_ELEMENT = map { $_ => 1 } \&unary, \&clip, \&scaled, \&added, \&multiplied;

sub call
{
    my ($kernel, $name, $inputs, $params, @out) = @_;
    return _made($kernel, $name, $inputs, $params)
        if $BY_ELEMENT{$kernel}
        and AI::MXNet::AutoGrad->is_recording
        and grep { _is_taped($_) } @$inputs;
    return $kernel->($name, $inputs, $params, @out);
}

# A number for each element of a csr array, ascending.
sub _keys
{
    my ($parts, $shape) = @_;
    my $rows = AI::MXNet::NDArray::Sparse::Parts::element_rows($parts);
    return $rows * $shape->[1] + $parts->{indices};
}

1;
