package AI::MXNet::NDArray::Sparse;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Base ();
use AI::MXNet::NDArray;
use AI::MXNet::NDArray::Sparse::Calls;
use AI::MXNet::NDArray::Sparse::Parts;
use List::Util ();
use Scalar::Util qw(blessed refaddr);

our @ISA = ('AI::MXNet::NDArray');    ## no critic (ProhibitExplicitISA)

# An object is a hash: stype, shape, dtype, ctx, writable, and its parts (arrays of what is stored). More may be there:
# `leaf`, the variable whose gradient this is: then the tape has the parts, and gets them; `owner`, an empty array that stands on the
# tape for a row_sparse variable, and has its gradient; `made`, of which arrays the elements were computed, and how; and a dense twin, which leads where it is: the tape knows it,
# functions of the C side write into it, and the parts are made anew when its version has moved on.

use overload
    '""' => sub {
    my $self = shift;
    return sprintf "\n<%s, %s @%s>", ref $self, join('x', @{ $self->{shape} }), $self->{ctx};
    },
    '.=' => sub { $_[0]->set($_[1]) };

my %class = (csr => 'AI::MXNet::NDArray::CSR', row_sparse => 'AI::MXNet::NDArray::RowSparse');
my %storage = (row_sparse => 1, csr => 2);

sub _fail { return AI::MXNet::Keshi::fail(@_) }
sub _is_sparse { return blessed($_[0]) && $_[0]->isa(__PACKAGE__) }

sub _class
{
    my $stype = shift;
    return $class{ $stype // '' }
        // _fail("Validation failed for 'Stype': got " . ($stype // 'undef') . ', want csr or row_sparse');
}

# -- making

# Of parts: { data, indices, indptr }.
sub _of_parts
{
    my ($stype, $shape, $parts, %opt) = @_;
    my $data = $parts->{data};
    return bless {
        stype => $stype,
        shape => [@$shape],
        dtype => $data->dtype,
        ctx => $data->context,
        writable => 1,
        parts => $parts,
        %opt
        },
        _class($stype);
}

# Of a dense array; with `keep` it becomes the twin.
sub over
{
    my ($class, $dense, $stype, $keep) = @_;
    my $self = bless {
        stype => $stype,
        shape => $dense->shape,
        dtype => $dense->dtype,
        ctx => $dense->context,
        writable => 1,
        twin => $dense
        },
        _class($stype);
    _fail('csr: got ' . join('x', @{ $self->{shape} }) . ', want two dimensions')
        if $stype eq 'csr' and @{ $self->{shape} } != 2;
    if (not $keep) {
        $self->_parts;
        delete $self->{twin};
    }
    return $self;
}

# The gradient of an array, or of the owner of a row_sparse one, which the tape keeps as rows.
sub grad_of
{
    my ($class, $leaf, $shape, $dtype) = @_;
    return bless {
        stype => 'row_sparse',
        shape => $shape // $leaf->shape,
        dtype => $dtype // $leaf->dtype,
        ctx => $leaf->context,
        writable => 1,
        leaf => $leaf
        },
        _class('row_sparse');
}

# A gradient buffer seen as a sparse array.
sub grad_over { my ($class, $buffer, $stype) = @_; return $class->over($buffer, $stype, 1) }

# What a file holds: its storage type's number, shape, data and index arrays.
sub from_parts
{
    my ($class, $storage, $shape, $data, @indices) = @_;
    return _of_parts('row_sparse', $shape, { data => $data, indices => $indices[0] }) if $storage == 1;
    return _of_parts('csr', $shape, { data => $data, indptr => $indices[0], indices => $indices[1] });
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

sub _only
{
    my ($who, %given) = @_;
    for my $name (keys %given) {
        _fail("$who: no such named argument '$name', want one of ctx, dtype, shape")
            if $name !~ /^(?:ctx|dtype|shape)$/;
    }
    return;
}

sub zeros
{
    my ($class, $stype, $shape, %given) = @_;
    _class($stype);
    return AI::MXNet::NDArray->zeros($stype, $shape // (), %given) if ref $stype;
    my %opt = _options(undef, %given);
    my $array = 'AI::MXNet::NDArray';
    my %index = (dtype => 'int64', ctx => $opt{ctx});
    if ($stype eq 'csr') {
        _fail('csr: got ' . join('x', @$shape) . ', want two dimensions') if @$shape != 2;
        return _of_parts(
            csr => $shape,
            {
                data => $array->empty([0], %opt),
                indices => $array->empty([0], %index),
                indptr => $array->zeros([$shape->[0] + 1], %index)
            }
        );
    }
    my ($rows, @rest) = @$shape;
    return _of_parts(
        row_sparse => $shape,
        { data => $array->empty([0, @rest], %opt), indices => $array->empty([0], %index) }
    );
}
*empty = \&zeros;

sub array
{
    my ($class, $source, %given) = @_;
    $given{dtype} //= 'float32';
    return $source->as_in_context($given{ctx} // AI::MXNet::Context->current_ctx)->astype($given{dtype})
        if _is_sparse($source);
    return csr_matrix($class, $source, %given)
        if blessed($source)
        and $source->isa('PDL::CCS::Nd');
    return _fail('array: got ' . ($source // 'undef') . ', want a sparse array or a PDL::CCS::Nd');
}

sub _checked_shape
{
    my ($shape, $found, $fits) = @_;
    return $found if not $shape;
    _fail('Shape mismatch detected. ' . join('x', @$found) . ' vs ' . join('x', @$shape)) if not $fits->(@$shape);
    return $shape;
}

# How to read a list: the shape of an empty array, or parts.
sub _is_shape
{
    return ref $_[0] eq 'ARRAY' && @{ $_[0] } && !grep { ref or !defined or !/^\d+$/ } @{ $_[0] };
}

sub csr_matrix
{
    my ($class, $source, %given) = @_;
    _only('csr_matrix', %given);
    my %opt = _options($source, %given);
    my $shape = $given{shape};
    _fail('Unexpected length of input array') if _is_shape($source) and @$source != 2;
    if (not defined $source or _is_shape($source)) {
        $shape = $source // $shape // _fail('csr_matrix: want a shape');
        return $class->zeros('csr', $shape, %opt);
    }
    if (    ref $source eq 'ARRAY'
        and @$source == 2
        and ref $source->[1] eq 'ARRAY'
        and ref $source->[0]
        and @{ $source->[1] } == 2
        and ref $source->[1][0])
    {
        return AI::MXNet::NDArray::Sparse::Parts::from_coordinates($source->[0], @{ $source->[1] }, $shape, %opt);
    }
    if (ref $source eq 'ARRAY' and @$source == 3 and !grep { !ref } @$source) {
        return AI::MXNet::NDArray::Sparse::Parts::from_rows(@$source, $shape, %opt);
    }
    if (_is_sparse($source)) {
        _fail('Unexpected input type: ' . ref $source) if $source->{stype} ne 'csr';
        _checked_shape($shape, $source->{shape}, sub { "@_" eq "@{ $source->{shape} }" });
        return $source->as_in_context($opt{ctx})->astype($opt{dtype});
    }
    if (blessed($source) and $source->isa('PDL::CCS::Nd')) {
        my ($columns, $rows) = $source->pdims->list;
        return AI::MXNet::NDArray::Sparse::Parts::from_rows($source->data, $source->indices, $source->indptr,
            _checked_shape($shape, [$rows, $columns], sub { "@_" eq "$rows $columns" }), %opt);
    }
    my $dense = AI::MXNet::NDArray->array($source, %opt);
    _checked_shape($shape, $dense->shape, sub { "@_" eq "@{ $dense->shape }" });
    return $class->over($dense, 'csr');
}

sub row_sparse_array
{
    my ($class, $source, %given) = @_;
    _only('row_sparse_array', %given);
    my %opt = _options($source, %given);
    my $shape = $given{shape};
    _fail('Unexpected length of input array') if _is_shape($source) and @$source < 2;
    if (not defined $source or _is_shape($source)) {
        $shape = $source // $shape // _fail('row_sparse_array: want a shape');
        return $class->zeros('row_sparse', $shape, %opt);
    }
    if (ref $source eq 'ARRAY' and @$source == 2 and ref $source->[0] and ref $source->[1]) {
        my ($data, $indices) = @$source;
        $data = AI::MXNet::NDArray->array($data, %opt);
        $indices = AI::MXNet::NDArray->array($indices, dtype => 'int64', ctx => $opt{ctx});
        my ($count, @rest) = @{ $data->shape };
        _fail("Shape mismatch detected. $count rows and " . $indices->size . ' indices') if $count != $indices->size;
        _fail('invalid shape') if not $shape and not $count;
        $shape //= [1 + List::Util::max($indices->aspdl->list), @rest];
        _checked_shape($shape, [@$shape[0], @rest], sub { my ($rows, @others) = @_; "@others" eq "@rest" });
        return _of_parts(row_sparse => $shape, { data => $data, indices => $indices });
    }
    if (_is_sparse($source)) {
        _fail('Unexpected input type: ' . ref $source) if $source->{stype} ne 'row_sparse';
        _checked_shape($shape, $source->{shape}, sub { "@_" eq "@{ $source->{shape} }" });
        return $source->as_in_context($opt{ctx})->astype($opt{dtype});
    }
    my $dense = AI::MXNet::NDArray->array($source, %opt);
    _checked_shape($shape, $dense->shape, sub { "@_" eq "@{ $dense->shape }" });
    return $class->over($dense, 'row_sparse');
}

# -- what it is

sub shape { return [@{ $_[0]{shape} }] }
sub ndim { return scalar @{ $_[0]{shape} } }
sub len { return $_[0]{shape}[0] }
sub dtype { return $_[0]{dtype} }
sub context { return $_[0]{ctx} }
sub stype { return $_[0]{stype} }
sub handle { return refaddr $_[0] }
sub wait_to_read { return }

sub writable
{
    my ($self, $value) = @_;
    if (@_ > 1) {
        $self->{writable} = $value ? 1 : 0;
        $self->{twin}->writable($self->{writable}) if $self->{twin};
    }
    return $self->{writable};
}

for my $name (qw(at reshape size _at _slice)) {
    no strict 'refs';
    *$name = sub { return _fail("$name: Not implemented for a sparse array") };
}

# Parts that are up to date.
sub _parts
{
    my $self = shift;
    if (my $leaf = $self->{leaf}) {
        my ($indices, $data) = AI::MXNet::Keshi::grad_rows($leaf);
        return $indices
            ? { indices => $indices, data => $data }
            : __PACKAGE__->zeros('row_sparse', $self->{shape}, dtype => $self->{dtype}, ctx => $self->{ctx})->{parts};
    }
    my $twin = $self->{twin} or return $self->{parts};
    my $version = AI::MXNet::Keshi::version($twin);
    if (not $self->{parts} or $self->{version} != $version) {
        $self->{parts} = AI::MXNet::NDArray::Sparse::Parts::of_dense($twin, $self->{stype});
        $self->{version} = $version;
    }
    return $self->{parts};
}

# Copies: a write to one would tear the parts from each other, and from the twin.
sub data { return $_[0]->_parts->{data}->copy }
sub indices { return $_[0]->_parts->{indices}->copy }
sub _num_aux { return scalar @{ [$_[0]->_index_names] } }

sub _aux_types
{
    return [map { $_[0]->_parts->{$_}->dtype } $_[0]->_index_names];
}

# A dense array with the same elements: the twin, or one that is made for the occasion.
sub dense
{
    my $self = shift;
    return $self->{twin} if $self->{twin};
    my ($stype, $shape) = @$self{qw(stype shape)};
    my $is_recording = AI::MXNet::AutoGrad->is_recording;
    if (my $made = $is_recording && $self->{made}) {
        return $made->{by}->(map { _is_sparse($_) ? $_->dense : $_ } @{ $made->{of} });
    }
    if ($is_recording and $self->{owner}) {
        my $all = AI::MXNet::NDArray->arange(start => 0, stop => $shape->[0], dtype => 'int64', ctx => $self->{ctx});
        return AI::MXNet::NDArray::Sparse::Kernels::rows($self, $all);
    }
    return AI::MXNet::NDArray::Sparse::Parts::to_dense($self->_parts, $stype, $shape);
}

# The twin, which stays from now on, unless the tape has the parts.
sub twin
{
    my $self = shift;
    return $self->{twin} if $self->{twin};
    # It may be asked for behind the recording, as the head to go back from.
    my $twin;
    AI::MXNet::AutoGrad->record(sub { $twin = $self->dense }, train_mode => AI::MXNet::AutoGrad->is_training);
    return $twin if $self->{leaf} or $self->{owner};
    $twin->writable($self->{writable});
    $self->{version} = AI::MXNet::Keshi::version($twin);
    return $self->{twin} = $twin;
}

sub _put
{
    my ($self, $parts) = @_;
    if ($self->{leaf}) { AI::MXNet::Keshi::set_grad_rows($self->{leaf}, @$parts{qw(indices data)}) }
    else { $self->{parts} = $parts }
    return $self;
}

# New elements out of a dense array.
sub take
{
    my ($self, $dense) = @_;
    return $self->_put(AI::MXNet::NDArray::Sparse::Parts::of_dense($dense, $self->{stype})) if not $self->{twin};
    $self->{twin}->set($dense) if $self->{twin}->handle != $dense->handle;
    return $self;
}

# Rows of a row_sparse array, by ascending numbers: in place where they are stored, else beside the others.
sub put_rows
{
    my ($self, $rows, $values) = @_;
    my $have = $self->_parts;
    my ($found, $places) =
        AI::MXNet::Keshi::distinct(AI::MXNet::NDArray->concat($have->{indices}, $rows, dim => 0));
    my $before = $have->{indices}->size;
    my $data =
          $found->size == $before
        ? $have->{data}
        : AI::MXNet::NDArray->_ks_read_rows($have->{data}, $have->{indices}, $found);
    my $where = $places->slice([$before, $places->size - 1])->reshape([1, -1]);
    AI::MXNet::NDArray->_scatter_set_nd($data, $values, $where, { shape => $data->shape, out => $data });
    return $self->_put({ data => $data, indices => $found }) if not $self->{twin};
    return $self->take(
        AI::MXNet::NDArray::Sparse::Parts::to_dense({ data => $data, indices => $found }, @$self{qw(stype shape)}));
}

sub check_format
{
    my ($self, $full) = @_;
    return AI::MXNet::NDArray::Sparse::Parts::check($self->_parts, @$self{qw(stype shape)}, $full // 1);
}

# -- copies and other forms

sub _mapped
{
    my ($self, $code) = @_;
    my %parts = %{ $self->_parts };
    $parts{$_} = $code->($parts{$_}, $_) for keys %parts;
    return _of_parts(@$self{qw(stype shape)}, \%parts);
}

sub copy
{
    return AI::MXNet::NDArray->_copy($_[0]) if $_[0]{owner} and AI::MXNet::AutoGrad->is_recording;
    return $_[0]->_mapped(sub { $_[0]->copy });
}
*sever = \&copy;

sub detach
{
    return $_[0]->_mapped(sub { $_[0]->detach });
}

sub astype
{
    my ($self, $dtype) = @_;
    return $self->_mapped(sub { $_[1] eq 'data' ? $_[0]->astype($dtype) : $_[0]->copy });
}

sub as_in_context
{
    my ($self, $ctx) = @_;
    return $self if $self->{ctx} == $ctx;
    return $self->_mapped(sub { $_[0]->as_in_context($ctx) });
}

sub copyto
{
    my ($self, $other) = @_;
    return $self->copy->as_in_context($other) if blessed($other) and $other->isa('AI::MXNet::Context');
    _fail('copyto: got ' . ($other // 'undef') . ', want an array or a context')
        if not blessed($other)
        or not $other->isa('AI::MXNet::NDArray');
    if (not _is_sparse($other)) {
        $other->set($self->dense);
        return $other;
    }
    _fail("copyto does not support destination NDArray stype $other->{stype}")
        if $other->{stype} ne $self->{stype};
    return $other->set($self);
}

sub tostype
{
    my ($self, $stype) = @_;
    return $self->copy if $stype eq $self->{stype};
    return $self->dense->copy if $stype eq 'default';
    return _fail("tostype: cast_storage from $self->{stype} to $stype is not supported");
}

sub cast_storage
{
    my ($self, @args) = @_;
    my $array = ref $self ? $self : shift @args;
    my $stype = ref $args[-1] eq 'HASH' ? $args[-1]{stype} : $args[-1];
    return $array->tostype($stype);
}

sub set
{
    my ($self, $value) = @_;
    _fail('set: Array is not writable') if not $self->{writable};
    if (_is_sparse($value)) {
        _fail('set: Shape inconsistant: expected ' . join(',', @{ $self->{shape} }) . ' vs got ' . join ',',
            @{ $value->{shape} })
            if "@{ $self->{shape} }" ne "@{ $value->{shape} }";
        return $self->take($value->dense->astype($self->{dtype}))
            if $self->{twin}
            or $value->{stype} ne $self->{stype};
        return $self->_put($value->astype($self->{dtype})->{parts});
    }
    my $dense = AI::MXNet::NDArray->empty($self->{shape}, dtype => $self->{dtype}, ctx => $self->{ctx});
    return $self->take($dense->set($value));
}

sub aspdl { return $_[0]->dense->aspdl }
sub asscalar { return $_[0]->dense->asscalar }

sub slice
{
    my ($self, @slices) = @_;
    _fail('slice: not implemented for a row_sparse array') if $self->{stype} eq 'row_sparse';
    if (@slices == 1 and (not ref $slices[0] or ref $slices[0] eq 'ARRAY' and not ref $slices[0][0])) {
        my $rows = $self->{shape}[0];
        my ($from, $to) = ref $slices[0] ? @{ $slices[0] } : ($slices[0]) x 2;
        ($from, $to) = (0, $rows - 1) if not ref $slices[0] and $slices[0] eq 'X';
        $to //= $from;
        $_ < 0 and $_ += $rows for $from, $to;
        _fail("slice: rows $from to $to of $rows") if $from < 0 or $to >= $rows or $from > $to;
        return AI::MXNet::NDArray::Sparse::Parts::rows($self->_parts, $self->{shape}, $from, $to);
    }
    my %given = @slices % 2 ? () : @slices;
    my @step = ref $given{step} ? @{ $given{step} } : $given{step} // 1;
    return $self->dense->slice(@slices) if grep { defined and $_ != 1 } @step or not ref $given{begin};
    my @bounds = map { _bounds($self->{shape}[$_], $given{begin}[$_], $given{end}[$_]) } 0, 1;
    return (ref $self)->over($self->dense->slice(@slices), 'csr') if $self->{twin};
    return AI::MXNet::NDArray::Sparse::Parts::region($self->_parts, $self->{shape}, @bounds);
}

# Where a slice of so many begins, and what lies behind it.
sub _bounds
{
    my ($size, $begin, $end) = @_;
    my ($from, $to) = ($begin // 0, $end // $size);
    $_ < 0 and $_ += $size for $from, $to;
    $to = $size if $to > $size;
    _fail("slice: begin got $from, end got $to, want a part of 0 to $size") if $from < 0 or $from >= $to;
    return [$from, $to];
}

# The rows that are asked for, as they are stored, and zeros for those that are not.
sub retain
{
    my ($class, @args) = @_;
    my ($array, $ids) = ref $class ? ($class, @args) : @args;
    _fail('retain: got ' . ($array // 'undef') . ', want a row_sparse array')
        if not _is_sparse($array)
        or $array->{stype} ne 'row_sparse';
    $ids = AI::MXNet::NDArray->array($ids, dtype => 'int64')
        if not blessed($ids)
        or not $ids->isa('AI::MXNet::NDArray');
    return AI::MXNet::NDArray::Sparse::Kernels::retain('_sparse_retain', [$array, $ids], {});
}
*_sparse_retain = \&retain;

# -- gradients: as rows under the owner, or those of the twin

sub attach_grad
{
    my ($self, %given) = @_;
    my $stype = delete $given{stype} // $self->{stype};
    delete @$self{qw(owner grad_stype)};
    if ($self->{stype} eq 'row_sparse' and $stype eq 'row_sparse') {
        _to_parts($self);
        $self->{owner} = AI::MXNet::NDArray->empty([0], dtype => $self->{dtype}, ctx => $self->{ctx});
        AI::MXNet::Keshi::attach_grad_rows($self->{owner}, $given{grad_req} // 'write');
        return;
    }
    $self->twin->attach_grad(%given);
    $self->{grad_stype} = $stype;
    return;
}

# Without the twin.
sub _to_parts
{
    my $self = shift;
    $self->{parts} = $self->_parts;
    delete @$self{qw(twin version)};
    return;
}

sub grad
{
    my $self = shift;
    return __PACKAGE__->grad_of($self->{owner}, @$self{qw(shape dtype)}) if $self->{owner};
    my $grad = $self->{twin} && $self->{twin}->grad or return;
    return $grad if ($self->{grad_stype} // 'default') eq 'default';
    return __PACKAGE__->grad_over($grad, $self->{grad_stype});
}

# Variables and the arrays for their gradients, some of which are sparse.
sub mark_variables
{
    my ($variables, $gradients, $requests) = @_;
    for my $i (0 .. $#$variables) {
        my ($variable, $gradient) = ($variables->[$i], $gradients->[$i]);
        my $request = ref $requests ? $requests->[$i] : $requests // 'write';
        my $by_rows = $gradient->stype eq 'row_sparse' && $variable->stype ne 'csr';
        if ($by_rows) {
            $variable->attach_grad(grad_req => $request, stype => 'row_sparse');
            my $first = $gradient->_parts;
            delete @$gradient{qw(twin version parts)};
            $gradient->{leaf} = _is_sparse($variable) ? $variable->{owner} : $variable;
            $gradient->_put($first);
            next;
        }
        my ($array, $buffer) = map { _is_sparse($_) ? $_->twin : $_ } $variable, $gradient;
        AI::MXNet::AutoGrad->mark_variables([$array], [$buffer], grad_reqs => [$request]);
        $variable->{grad_stype} = $gradient->stype if _is_sparse($variable);
    }
    return;
}

sub backward
{
    my ($self, @given) = @_;
    return $self->twin->backward(@given);
}

sub _fresh_grad
{
    my ($self, @value) = @_;
    my $array = $self->{owner} // $self->twin;
    return $array->_fresh_grad(@value);
}

# -- random arrays, for tests

sub random
{
    my ($class, $shape, $stype, %opt) = @_;
    my $density = $opt{density} // rand;
    if ($stype eq 'csr' and ($opt{distribution} // '') eq 'powerlaw') {
        my $array = AI::MXNet::NDArray::Sparse::Parts::powerlaw(@$shape, $density, dtype => $opt{dtype} // 'float32');
        return ($array, [$array->indptr, $array->indices, $array->data]);
    }
    my $p = PDL->random(reverse @$shape) * 2 - 1;
    if ($stype eq 'row_sparse') {
        my $rows = $opt{rsp_indices};
        my %kept =
            map { $_ => 1 }
            ref $rows ? (blessed($rows) ? $rows->aspdl->list : @$rows) : grep { rand() < $density }
            0 .. $shape->[0] - 1;
        my @kept = sort { $a <=> $b } keys %kept;
        return (
            $class->zeros('row_sparse', $shape, dtype => $opt{dtype}),
            [AI::MXNet::NDArray->array([]), AI::MXNet::NDArray->array([])]
        ) if not @kept;
        my $data = $p->dice_axis(-1, \@kept)->sever;
        $data .= $opt{data_init} if defined $opt{data_init};
        $data = $opt{modifier_func}->($data) if $opt{modifier_func};
        my $array = $class->row_sparse_array([$data, \@kept], shape => $shape, dtype => $opt{dtype});
        return ($array, [$array->data, $array->indices]);
    }
    my $keep = PDL->random(reverse @$shape) < $density;
    $p .= $opt{data_init} if defined $opt{data_init};
    $p = $opt{modifier_func}->($p) if $opt{modifier_func};
    my $array = $class->csr_matrix($p * $keep, dtype => $opt{dtype} // 'float32');
    return ($array, [$array->indptr, $array->indices, $array->data]);
}

# -- files and namespaces

sub STORABLE_thaw
{
    my ($self, $cloning, $bytes) = @_;
    require AI::MXNet::NDArray::File;
    my $array = AI::MXNet::NDArray::File::decode_one(substr $bytes, 1);
    %$self = (%$array, writable => unpack 'C', $bytes);
    return;
}

our $AUTOLOAD;

sub DESTROY { }

# Operators of sparse arrays alone: $class->adagrad_update is _sparse_adagrad_update.
sub AUTOLOAD
{    ## no critic (ProhibitAutoloading)
    my ($self, @args) = @_;
    my ($name) = $AUTOLOAD =~ /(\w+)$/;
    my $operator = "_sparse_$name";
    _fail(qq(Can't locate object method "$name" via package ") . (ref $self || $self) . '"')
        if not AI::MXNet::NDArray->can($operator);
    return $self->$operator(@args);
}

package AI::MXNet::NDArray::CSR;              ## no critic (ProhibitMultiplePackages)
our @ISA = ('AI::MXNet::NDArray::Sparse');    ## no critic (ProhibitExplicitISA)

sub _index_names { return qw(indptr indices) }
sub indptr { return $_[0]->_parts->{indptr}->copy }

# As a PDL::CCS::Nd.
sub aspdlccs
{
    my $self = shift;
    my $parts = $self->_parts;
    return AI::MXNet::Base::ascsr($parts->{data}->aspdl, $parts->{indptr}->aspdl, $parts->{indices}->aspdl,
        $self->{shape});
}

package AI::MXNet::NDArray::RowSparse;        ## no critic (ProhibitMultiplePackages)
our @ISA = ('AI::MXNet::NDArray::Sparse');    ## no critic (ProhibitExplicitISA)

sub _index_names { return 'indices' }

1;

__END__

=head1 NAME

AI::MXNet::NDArray::Sparse - arrays that store some of their elements

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $csr = nd->sparse->csr_matrix([[0, 1, 0], [2, 0, 3]]);
    print $csr->data->aspdl, $csr->indices->aspdl, $csr->indptr->aspdl, "\n";
    my $rows = nd->sparse->row_sparse_array([[[1, 2]], [3]], shape => [5, 2]);    # row 3 of 5
    print nd->sparse->retain($rows, nd->array([3]))->aspdl;
    print nd->dot($csr, nd->ones([3, 2]))->aspdl;
    print +($csr * 2)->stype, ' ', ($csr + 1)->stype, "\n";                       # csr default

=head1 DESCRIPTION

C<AI::MXNet::NDArray::CSR> holds compressed rows: the stored elements (C<data>), their columns (C<indices>), and where each row begins
(C<indptr>). C<AI::MXNet::NDArray::RowSparse> holds some rows (C<data>) and which they are (C<indices>). Both are arrays: every
operator takes them. It computes on a dense copy; what it returns is sparse again where the storage type of the result follows from
those of the inputs, as with products, with functions that keep 0, and with C<out>.

=over 4

=item csr_matrix($source, shape =>, ctx =>, dtype =>)

From a dense array, list or PDL; from C<[$data, $indices, $indptr]>; from C<[$data, [$rows, $columns]]>; from a
L<PDL::CCS::Nd>; from a shape, without elements.

=item row_sparse_array($source, shape =>, ctx =>, dtype =>)

From a dense array, list or PDL; from C<[$data, $indices]>; from a shape.

=item zeros($stype, $shape, ctx =>, dtype =>), empty, array($source, ctx =>, dtype =>)

=item retain($rows, $indices)

The rows that are asked for.

=item data, indices, indptr, stype, tostype($stype), aspdlccs, check_format

C<check_format> dies when the indices are not in order or not within the shape.

=back

The gradient of a sparse array is sparse too, unless C<attach_grad(stype =E<gt> 'default')> says otherwise. Files keep the storage type.

=cut
