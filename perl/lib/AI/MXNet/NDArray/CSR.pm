package AI::MXNet::NDArray::CSR;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Base ();
use AI::MXNet::NDArray::Sparse::Parts;
use Scalar::Util qw(blessed);

# Compressed rows. AI::MXNet::NDArray::Sparse, which loads this, has what all sparse arrays share.

our @ISA = ('AI::MXNet::NDArray::Sparse');    ## no critic (ProhibitExplicitISA)

sub _fail { return AI::MXNet::Keshi::fail(@_) }

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

# -- making

sub _check_dimensions
{
    my ($class, $shape) = @_;
    _fail('csr: got ' . join('x', @$shape) . ', want two dimensions') if @$shape != 2;
    return;
}

# The parts of an array without elements.
sub _no_parts
{
    my ($class, $shape, %opt) = @_;
    my $array = 'AI::MXNet::NDArray';
    my %index = (dtype => 'int64', ctx => $opt{ctx});
    return {
        data => $array->empty([0], %opt),
        indices => $array->empty([0], %index),
        indptr => $array->zeros([$shape->[0] + 1], %index)
    };
}

# Of [data, [rows, columns]], [data, indices, indptr] or a PDL::CCS::Nd; nothing of anything else.
sub _of_stored
{
    my ($class, $source, $shape, %opt) = @_;
    if (blessed($source) and $source->isa('PDL::CCS::Nd')) {
        my ($columns, $rows) = $source->pdims->list;
        my $own = $class->_checked_shape($shape, [$rows, $columns]);
        return AI::MXNet::NDArray::Sparse::Parts::from_rows($source->data, $source->indices, $source->indptr, $own,
            %opt);
    }
    return if ref $source ne 'ARRAY' or grep { !ref } @$source;
    return AI::MXNet::NDArray::Sparse::Parts::from_rows(@$source, $shape, %opt) if @$source == 3;
    my ($data, $places) = @$source;
    return if @$source != 2 or ref $places ne 'ARRAY' or @$places != 2 or not ref $places->[0];
    return AI::MXNet::NDArray::Sparse::Parts::from_coordinates($data, @$places, $shape, %opt);
}

sub _random
{
    my ($class, $shape, %opt) = @_;
    my %dtype = (dtype => $opt{dtype} // 'float32');
    my $array;
    if (($opt{distribution} // '') eq 'powerlaw') {
        $array = AI::MXNet::NDArray::Sparse::Parts::powerlaw(@$shape, $opt{density}, %dtype);
    } else {
        my $p = PDL->random(reverse @$shape) * 2 - 1;
        my $keep = PDL->random(reverse @$shape) < $opt{density};
        $p .= $opt{data_init} if defined $opt{data_init};
        $p = $opt{modifier_func}->($p) if $opt{modifier_func};
        $array = $class->csr_matrix($p * $keep, %dtype);
    }
    return ($array, [$array->indptr, $array->indices, $array->data]);
}

# -- slices

sub slice
{
    my ($self, @slices) = @_;
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

1;
