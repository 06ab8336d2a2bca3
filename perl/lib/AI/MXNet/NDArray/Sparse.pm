package AI::MXNet::NDArray::Sparse;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::NDArray;
use AI::MXNet::NDArray::CSR;
use AI::MXNet::NDArray::RowSparse;
use AI::MXNet::NDArray::Sparse::Calls;
use AI::MXNet::NDArray::Sparse::Gradient;
use AI::MXNet::NDArray::Sparse::Make;
use AI::MXNet::NDArray::Sparse::Parts;
use Scalar::Util qw(blessed refaddr);

our @ISA = ('AI::MXNet::NDArray::Sparse::Make', 'AI::MXNet::NDArray::Sparse::Gradient', 'AI::MXNet::NDArray')
    ;    ## no critic (ProhibitExplicitISA)

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

sub _fail { return AI::MXNet::Keshi::fail(@_) }
sub _is_sparse { return blessed($_[0]) && $_[0]->isa(__PACKAGE__) }

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
            : $self->_no_parts($self->{shape}, dtype => $self->{dtype}, ctx => $self->{ctx});
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
    return $self->_of_parts(@$self{qw(stype shape)}, \%parts);
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
