package AI::MXNet::NDArray::Sparse::Make;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use Scalar::Util qw(blessed);

# How sparse arrays are made, of either kind: of parts, of a dense array, of what a user gives, of nothing.

my %class = (csr => 'AI::MXNet::NDArray::CSR', row_sparse => 'AI::MXNet::NDArray::RowSparse');
my %storage = (row_sparse => 1, csr => 2);

sub _fail { return AI::MXNet::Keshi::fail(@_) }
sub _is_sparse { return blessed($_[0]) && $_[0]->isa('AI::MXNet::NDArray::Sparse') }

sub _class
{
    my $stype = shift;
    return $class{ $stype // '' }
        // _fail("Validation failed for 'Stype': got " . ($stype // 'undef') . ', want csr or row_sparse');
}

# With the dtype and the context of another array.
sub _new_like
{
    my ($class, $like, $stype, $shape, %field) = @_;
    my %common = (dtype => $like->dtype, ctx => $like->context, writable => 1);
    return bless { stype => $stype, shape => [@$shape], %common, %field }, _class($stype);
}

# Of parts: { data, indices, indptr }.
sub _of_parts
{
    my ($class, $stype, $shape, $parts) = @_;
    return $class->_new_like($parts->{data}, $stype, $shape, parts => $parts);
}

# Of a dense array; with `keep` it becomes the twin.
sub over
{
    my ($class, $dense, $stype, $keep) = @_;
    my $self = $class->_new_like($dense, $stype, $dense->shape, twin => $dense);
    $self->_check_dimensions($self->{shape});
    if (not $keep) {
        $self->_parts;
        delete $self->{twin};
    }
    return $self;
}

# What a file holds: its storage type's number, shape, data and index arrays.
sub from_parts
{
    my ($class, $storage, $shape, $data, @indices) = @_;
    return $class->_of_parts('row_sparse', $shape, { data => $data, indices => $indices[0] }) if $storage == 1;
    return $class->_of_parts('csr', $shape, { data => $data, indptr => $indices[0], indices => $indices[1] });
}

# And the way back.
sub parts
{
    my $self = shift;
    my $parts = $self->_parts;
    return [$storage{ $self->{stype} }, $self->{shape}, map { $parts->{$_} } 'data', $self->_index_names];
}

sub _options
{
    my ($source, %given) = @_;
    my $dtype = $given{dtype} // (blessed($source) && $source->can('dtype') && $source->dtype) || 'float32';
    return (ctx => $given{ctx} // AI::MXNet::Context->current_ctx, dtype => $dtype);
}

sub zeros
{
    my ($class, $stype, $shape, %given) = @_;
    my $kind = _class($stype);
    $kind->_check_dimensions($shape);
    return $class->_of_parts($stype, $shape, $kind->_no_parts($shape, _options(undef, %given)));
}
*empty = \&zeros;

sub array
{
    my ($class, $source, %given) = @_;
    $given{dtype} //= 'float32';
    return $source->as_in_context($given{ctx} // AI::MXNet::Context->current_ctx)->astype($given{dtype})
        if _is_sparse($source);
    return $class->csr_matrix($source, %given)
        if blessed($source)
        and $source->isa('PDL::CCS::Nd');
    return _fail('array: got ' . ($source // 'undef') . ', want a sparse array or a PDL::CCS::Nd');
}

sub csr_matrix { my ($class, @args) = @_; return $class->_made(csr_matrix => 'csr', @args) }
sub row_sparse_array { my ($class, @args) = @_; return $class->_made(row_sparse_array => 'row_sparse', @args) }

# How to read a list: the shape of an empty array, or parts.
sub _is_shape
{
    return ref $_[0] eq 'ARRAY' && @{ $_[0] } && !grep { ref or !defined or !/^\d+$/ } @{ $_[0] };
}

sub _made
{
    my ($class, $who, $stype, $source, %given) = @_;
    for my $name (keys %given) {
        _fail("$who: no such named argument '$name', want one of ctx, dtype, shape")
            if $name !~ /^(?:ctx|dtype|shape)$/;
    }
    my %opt = _options($source, %given);
    my $shape = $given{shape};
    if (not defined $source or _is_shape($source)) {
        _fail('Unexpected length of input array')
            if $source and (@$source < 2 or @$source > 2 and $stype eq 'csr');
        $shape = $source // $shape // _fail("$who: want a shape");
        return $class->zeros($stype, $shape, %opt);
    }
    my $made = _class($stype)->_of_stored($source, $shape, %opt);
    return $made if defined $made;
    my $is_sparse = _is_sparse($source);
    _fail('Unexpected input type: ' . ref $source) if $is_sparse and $source->{stype} ne $stype;
    $source = AI::MXNet::NDArray->array($source, %opt) if not $is_sparse;
    $class->_checked_shape($shape, $source->shape);
    return $is_sparse ? $source->as_in_context($opt{ctx})->astype($opt{dtype}) : $class->over($source, $stype);
}

# The shape that was given, if any, which must be the one that was found.
sub _checked_shape
{
    my ($class, $shape, $found) = @_;
    $shape //= $found;
    _fail('Shape mismatch detected. ' . join('x', @$found) . ' vs ' . join('x', @$shape)) if "@$shape" ne "@$found";
    return $shape;
}

# For tests.
sub random
{
    my ($class, $shape, $stype, %opt) = @_;
    $opt{density} //= rand;
    return _class($stype)->_random($shape, %opt);
}

1;
