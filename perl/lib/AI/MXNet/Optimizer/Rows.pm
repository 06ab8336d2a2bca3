package AI::MXNet::Optimizer::Rows;
use 5.014;
use strict;
use warnings;
use AI::MXNet::NDArray::Sparse::Kernels;

# Updates where the gradient or the weight is row_sparse. A lazy update looks at the rows of the gradient only: the weight and the
# states of all others stay as they are, decay and momentum included, and no array is made dense.

sub run
{
    my ($operator, $lazy, $weight, $grad, $states, $with) = @_;
    my @arrays = ($weight, @$states);
    return AI::MXNet::NDArray::Sparse::Kernels::update_rows($operator, \@arrays, $grad, $with)
        if $lazy and $grad->stype eq 'row_sparse';
    my @dense = map { $_->stype eq 'default' ? $_ : $_->tostype('default') } @arrays;
    my ($whole, @others) = @dense;
    AI::MXNet::NDArray->$operator($whole, $grad->tostype('default'), @others, { %$with, out => $whole });
    for my $i (grep { $arrays[$_]->stype ne 'default' } 0 .. $#arrays) {
        $dense[$i]->copyto($arrays[$i]);
    }
    return;
}

1;
