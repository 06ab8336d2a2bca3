package AI::MXNet::NDArray::Sparse::Parts;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use List::Util ();
use PDL::Lite ();
use PDL::Ufunc ();
use Scalar::Util qw(blessed);

# The parts of sparse arrays: from dense arrays and lists, back, and in order. Work on many elements is PDL's.

my %WHOLE = (dtype => 'int64');

sub _fail { return AI::MXNet::Keshi::fail(@_) }

sub _array
{
    my ($pdl, $shape, %opt) = @_;
    return AI::MXNet::NDArray->empty($shape, %opt) if grep { $_ == 0 } @$shape;
    return AI::MXNet::NDArray->array($pdl, %opt)->reshape($shape);
}

sub _values
{
    my ($source, %opt) = @_;
    return AI::MXNet::NDArray->array($source, %opt);
}

# Where each row begins, from the row of each element.
sub _row_ends
{
    my ($rows, $count) = @_;
    my $ends = PDL->zeroes(PDL::longlong(), $count + 1);
    PDL::indadd(PDL->ones(PDL::longlong(), $rows->nelem), $rows + 1, $ends) if $rows->nelem;
    return $ends->cumusumover;
}

# The row of each element, from where each row begins: how many rows have begun before it.
sub _element_rows
{
    my $ends = shift;
    my ($rows, $count) = ($ends->nelem - 1, $ends->at(-1));
    my $begun = PDL->zeroes(PDL::longlong(), $count + 1);
    PDL::indadd(PDL->ones(PDL::longlong(), $rows - 1), $ends->slice('1:-2'), $begun) if $rows > 1;
    return $count ? $begun->slice([0, $count - 1])->cumusumover : PDL->zeroes(PDL::longlong(), 0);
}

# The row of each element of a csr array.
sub element_rows
{
    my $parts = shift;
    my $count = $parts->{indices}->size;
    my %index = (%WHOLE, ctx => $parts->{data}->context);
    return _array($count ? _element_rows($parts->{indptr}->aspdl) : undef, [$count], %index);
}

# Indices and indptr of csr elements that are counted through the whole array, row by row.
sub places_of_keys
{
    my ($keys, $shape) = @_;
    my ($rows, $columns) = @$shape;
    my %index = (%WHOLE, ctx => $keys->context);
    my $count = $keys->size;
    my $which = $count ? $keys->aspdl : PDL->zeroes(PDL::longlong(), 0);
    my $column = $which % $columns;
    my $row = $count ? ($which - $column) / $columns : $which;
    return (
        indices => _array($column, [$count], %index),
        indptr => _array(_row_ends($row, $rows), [$rows + 1], %index)
    );
}

# The parts share nothing with the array.
sub of_dense
{
    my ($dense, $stype) = @_;
    if ($stype eq 'csr') {
        my $places = AI::MXNet::Keshi::places($dense->detach)->as_in_context($dense->context);
        my $data =
            $places->size
            ? AI::MXNet::NDArray->take($dense->reshape([-1]), $places)
            : AI::MXNet::NDArray->empty([0], dtype => $dense->dtype, ctx => $dense->context);
        return { data => $data, places_of_keys($places, $dense->shape) };
    }
    my ($indices, $data) = AI::MXNet::Keshi::filled_rows($dense);
    return { data => $data, indices => $indices };
}

sub to_dense
{
    my ($parts, $stype, $shape) = @_;
    my $data = $parts->{data};
    return AI::MXNet::NDArray->zeros($shape, dtype => $data->dtype, ctx => $data->context)
        if not $parts->{indices}->size;
    my ($rows, @rest) = @$shape;
    return AI::MXNet::NDArray->_ks_add_rows($data, $parts->{indices}, axis => 0, size => $rows)
        if $stype eq 'row_sparse';
    my $where = element_rows($parts) * $rest[0] + $parts->{indices};
    return AI::MXNet::NDArray->_ks_add_rows($data, $where, axis => 0, size => $rows * $rest[0])->reshape($shape);
}

# -- reading

sub from_rows
{
    my ($data, $indices, $indptr, $shape, %opt) = @_;
    $data = _values($data, %opt);
    ($indices, $indptr) = map { _values($_, %WHOLE, ctx => $opt{ctx}) } $indices, $indptr;
    my $rows = $indptr->size - 1;
    if ($shape) {
        _fail("Shape mismatch detected. $rows rows vs " . join 'x', @$shape) if @$shape != 2 or $shape->[0] != $rows;
    } else {
        _fail('csr_matrix: invalid shape') if not $indices->size;
        $shape = [$rows, 1 + List::Util::max($indices->aspdl->list)];
    }
    return AI::MXNet::NDArray::Sparse->_of_parts(
        csr => $shape,
        { data => $data, indices => $indices, indptr => $indptr }
    );
}

sub from_coordinates
{
    my ($data, $row, $column, $shape, %opt) = @_;
    $data = _values($data, %opt);
    ($row, $column) = map { _values($_, %WHOLE)->aspdl } $row, $column;
    _fail('csr_matrix: invalid shape') if not $shape and not $row->nelem;
    $shape //= [map { 1 + List::Util::max($_->list) } $row, $column];
    _fail('Shape mismatch detected. ' . join 'x', @$shape)
        if $row->nelem
        and ($row->max >= $shape->[0] or $column->max >= $shape->[1] or $row->min < 0 or $column->min < 0);
    my $order = ($row * $shape->[1] + $column)->qsorti;
    return from_rows(
        $data->aspdl->index($order),
        $column->index($order),
        _row_ends($row->index($order), $shape->[0]),
        $shape, %opt
    );
}

# Some rows and columns of a csr array, both from one number to behind another.
sub region
{
    my ($parts, $shape, $rows, $columns) = @_;
    my $piece = rows($parts, $shape, $rows->[0], $rows->[1] - 1);
    my ($from, $to) = @$columns;
    my $width = $to - $from;
    my $found = $piece->{parts};
    return $piece if $width == $shape->[1] or not $found->{indices}->size;
    my $column = $found->{indices}->aspdl;
    my $kept = PDL::which(($column >= $from) & ($column < $to));
    my $row = _element_rows($found->{indptr}->aspdl)->index($kept);
    my %index = (%WHOLE, ctx => $found->{data}->context);
    my $count = $kept->nelem;
    my $data = $count ? AI::MXNet::NDArray->take($found->{data}, _array($kept, [$count], %index)) : undef;
    $data //= AI::MXNet::NDArray->empty([0], dtype => $found->{data}->dtype, ctx => $index{ctx});
    return AI::MXNet::NDArray::Sparse->_of_parts(
        csr => [$rows->[1] - $rows->[0], $width],
        {
            data => $data,
            indices => _array($column->index($kept) - $from, [$count], %index),
            indptr => _array(_row_ends($row, $rows->[1] - $rows->[0]), [$rows->[1] - $rows->[0] + 1], %index)
        }
    );
}

# Rows of a csr array, both ends included.
sub rows
{
    my ($parts, $shape, $from, $to) = @_;
    my $ends = $parts->{indptr}->aspdl;
    my ($first, $behind) = ($ends->at($from), $ends->at($to + 1));
    my $count = $behind - $first;
    my %piece = (indptr => _values($ends->slice("$from:@{[ $to + 1 ]}") - $first, %WHOLE));
    for my $name (qw(data indices)) {
        my $whole = $parts->{$name};
        $piece{$name} =
              $count
            ? $whole->slice([$first, $behind - 1])->copy
            : AI::MXNet::NDArray->empty([0], dtype => $whole->dtype, ctx => $whole->context);
    }
    return AI::MXNet::NDArray::Sparse->_of_parts(csr => [$to - $from + 1, $shape->[1]], \%piece);
}

# A random csr array whose rows grow by a factor of two: row r has up to 2^(r + 1) elements from its first column on, as far as the
# whole number of elements goes; no row is empty before that is used up.
sub powerlaw
{
    my ($rows, $columns, $density, %opt) = @_;
    my $left = int $rows * $columns * $density;
    my @counts = (0) x $rows;
    for my $count (@counts) {
        $left-- > 0 and $count = 1 or last;
    }
    for my $row (0 .. $rows - 1) {
        last if $left <= 0;
        my $most = $row < 40 && 2**($row + 1) < $columns ? 2**($row + 1) : $columns;
        my $more = $most - 1 < $left ? $most - 1 : $left;
        $counts[$row] += $more;
        $left -= $more;
    }
    my @ends = (0);
    push @ends, $ends[-1] + $_ for @counts;
    my @columns = map { PDL->sequence(PDL::longlong(), $_) } grep { $_ } @counts;
    my $indices = List::Util::reduce { $a->append($b) } @columns;
    return AI::MXNet::NDArray::Sparse->_of_parts(
        csr => [$rows, $columns],
        {
            data => _array(PDL->random($ends[-1] || 1) * 2 + 1.001, [$ends[-1]], %opt),
            indices => _array($indices, [$ends[-1]], %WHOLE),
            indptr => _array(PDL->new(\@ends), [$rows + 1], %WHOLE)
        }
    );
}

# -- order

sub _ascending
{
    my ($pdl, $strictly) = @_;
    return 1 if $pdl->nelem < 2;
    my $steps = $pdl->slice('1:-1') - $pdl->slice('0:-2');
    return $steps->min >= ($strictly ? 1 : 0);
}

sub check
{
    my ($parts, $stype, $shape, $full) = @_;
    my $indices = $parts->{indices}->size ? $parts->{indices}->aspdl : PDL->zeroes(PDL::longlong(), 0);
    my $count = $parts->{data}->shape->[0];
    _fail("check_format: $count elements and " . $indices->nelem . ' indices') if $count != $indices->nelem;
    if ($stype eq 'row_sparse') {
        return if not $full;
        _fail("check_format: indices must ascend, and lie within 0 to $shape->[0]")
            if $count
            and (!_ascending($indices, 1) or $indices->min < 0 or $indices->max >= $shape->[0]);
        return;
    }
    my $ends = $parts->{indptr}->aspdl;
    _fail('check_format: indptr has ' . $ends->nelem . " elements for $shape->[0] rows")
        if $ends->nelem != $shape->[0] + 1;
    _fail("check_format: indptr must begin with 0, not fall, and end with $count")
        if $ends->at(0) != 0
        or $ends->at(-1) != $count
        or !_ascending($ends, 0);
    return if not $full or not $count;
    _fail("check_format: indices must lie within 0 to $shape->[1]")
        if $indices->min < 0
        or $indices->max >= $shape->[1];
    my $keys = _element_rows($ends) * $shape->[1] + $indices;
    _fail('check_format: indices must ascend within a row') if !_ascending($keys, 1);
    return;
}

1;
