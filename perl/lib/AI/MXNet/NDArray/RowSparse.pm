package AI::MXNet::NDArray::RowSparse;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::NDArray::Sparse::Parts;
use List::Util ();
use Scalar::Util qw(blessed);

# Some rows: see AI::MXNet::NDArray::Sparse for what all sparse arrays share.

our @ISA = ('AI::MXNet::NDArray::Sparse');    ## no critic (ProhibitExplicitISA)

sub _fail { return AI::MXNet::Keshi::fail(@_) }

sub _index_names { return 'indices' }

sub slice { return _fail('slice: not implemented for a row_sparse array') }

# -- making

sub _check_dimensions { return }

# The parts of an array without rows.
sub _no_parts
{
    my ($class, $shape, %opt) = @_;
    my ($rows, @rest) = @$shape;
    my $array = 'AI::MXNet::NDArray';
    return {
        data => $array->empty([0, @rest], %opt),
        indices => $array->empty([0], dtype => 'int64', ctx => $opt{ctx})
    };
}

# Of [data, indices]; nothing of anything else.
sub _of_stored
{
    my ($class, $source, $shape, %opt) = @_;
    return if ref $source ne 'ARRAY' or @$source != 2 or grep { !ref } @$source;
    my ($data, $indices) = @$source;
    $data = AI::MXNet::NDArray->array($data, %opt);
    $indices = AI::MXNet::NDArray->array($indices, dtype => 'int64', ctx => $opt{ctx});
    my ($count, @rest) = @{ $data->shape };
    _fail("Shape mismatch detected. $count rows and " . $indices->size . ' indices') if $count != $indices->size;
    _fail('invalid shape') if not $shape and not $count;
    $shape //= [1 + List::Util::max($indices->aspdl->list), @rest];
    $class->_checked_shape($shape, [$shape->[0], @rest]);
    return $class->_of_parts(row_sparse => $shape, { data => $data, indices => $indices });
}

sub _random
{
    my ($class, $shape, %opt) = @_;
    my $p = PDL->random(reverse @$shape) * 2 - 1;
    my $rows = $opt{rsp_indices};
    my %kept =
        map { $_ => 1 }
        ref $rows ? (blessed($rows) ? $rows->aspdl->list : @$rows) : grep { rand() < $opt{density} }
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

# -- writing

# Rows by ascending numbers: in place where they are stored, else beside the others.
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

1;
