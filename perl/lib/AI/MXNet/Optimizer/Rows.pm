package AI::MXNet::Optimizer::Rows;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::NDArray::Sparse::Kernels;

# Updates where the gradient or the weight is row_sparse. A lazy update looks at the rows of the gradient only: the weight and the
# states of all others stay as they are, decay and momentum included, and no array is made dense.

sub run
{
    my ($operator, $lazy, $weight, $grad, $states, $with) = @_;
    my @arrays = ($weight, @$states);
    return _update_rows($operator, \@arrays, $grad, $with) if $lazy and $grad->stype eq 'row_sparse';
    my @dense = map { $_->stype eq 'default' ? $_ : $_->tostype('default') } @arrays;
    _update($operator, \@dense, $grad->stype eq 'default' ? $grad : $grad->tostype('default'), $with);
    for my $i (grep { $arrays[$_]->stype ne 'default' } 0 .. $#arrays) {
        $dense[$i]->copyto($arrays[$i]);
    }
    return;
}

sub _update
{
    my ($operator, $arrays, $grad, $with) = @_;
    my ($weight, @states) = @$arrays;
    AI::MXNet::NDArray->$operator($weight, $grad, @states, { %$with, out => $weight });
    return;
}

sub _update_rows
{
    my ($operator, $arrays, $grad, $with) = @_;
    my $rows = $grad->indices;
    return if not $rows->size;
    my $is_sparse = sub { $_[0]->stype ne 'default' };
    my @parts = map {
        $is_sparse->($_)
            ? AI::MXNet::NDArray::Sparse::Kernels::rows($_, $rows)
            : AI::MXNet::NDArray->take($_, $rows)
    } @$arrays;
    _update($operator, \@parts, $grad->data, $with);
    for my $i (0 .. $#parts) {
        if ($is_sparse->($arrays->[$i])) { $arrays->[$i]->put_rows($rows, $parts[$i]) }
        else { _write($arrays->[$i], $rows, $parts[$i]) }
    }
    return;
}

# Rows of an array in place.
sub _write
{
    my ($array, $rows, $values) = @_;
    AI::MXNet::NDArray->_scatter_set_nd(
        $array, $values,
        $rows->reshape([1, -1]),
        { shape => $array->shape, out => $array }
    );
    return;
}

1;
