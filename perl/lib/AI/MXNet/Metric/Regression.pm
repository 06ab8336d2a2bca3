package AI::MXNet::Metric::Regression;
use 5.014;
use strict;
use warnings;

# Metrics of predicted numbers and probabilities.

package AI::MXNet::Metric::Difference;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::EvalMetric';

# One label for each row counts for the whole row.
sub update
{
    my ($self, $labels, $preds) = @_;
    for my $pair ($self->_pairs($labels, $preds)) {
        my ($label, $pred) = map { $_->ndim == 1 ? $_->reshape([-1, 1]) : $_ } @$pair;
        AI::MXNet::EvalMetric::_same_size($label, $pred) if $label->shape->[0] != $pred->shape->[0];
        my $difference = $label->aspdl->double - $pred->aspdl->double;
        $self->_count($self->_of($difference), 1);
    }
    return;
}

package AI::MXNet::MAE;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Metric::Difference';
has '+name' => (default => 'mae');
sub _of { return $_[1]->abs->avg . '' }

package AI::MXNet::MSE;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Metric::Difference';
has '+name' => (default => 'mse');
sub _of { return ($_[1]**2)->avg . '' }

package AI::MXNet::RMSE;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Metric::Difference';
has '+name' => (default => 'rmse');
sub _of { return sqrt(($_[1]**2)->avg . '') }

package AI::MXNet::PearsonCorrelation;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::EvalMetric';
has '+name' => (default => 'pearson-correlation');

sub update
{
    my ($self, $labels, $preds) = @_;
    for my $pair ($self->_pairs($labels, $preds)) {
        AI::MXNet::EvalMetric::_same_size(@$pair);
        my ($x, $y) = map { my $v = $_->aspdl->flat->double; $v - $v->avg } @$pair;
        my ($xy, $xx, $yy) = map { $_->sum . '' } $x * $y, $x**2, $y**2;
        $self->_count($xx * $yy > 0 ? $xy / sqrt($xx * $yy) : 'nan', 1);
    }
    return;
}

package AI::MXNet::CrossEntropy;    ## no critic (ProhibitMultiplePackages)
use Mouse;
use AI::MXNet::Keshi;
extends 'AI::MXNet::EvalMetric';
has '+name' => (default => 'cross-entropy');
has eps => (is => 'ro', isa => 'Num', default => 1e-12);
sub python_constructor_arguments { return qw(eps name) }

sub update
{
    my ($self, $labels, $preds) = @_;
    for my $pair ($self->_pairs($labels, $preds)) {
        my ($label, $pred) = @$pair;
        my $rows = $pred->shape->[0];
        AI::MXNet::Keshi::fail('Size of label ' . $label->size . " and first dimension of pred $rows do not match")
            if $label->size != $rows;
        my $p = AI::MXNet::NDArray->pick($pred->reshape([$rows, -1]), $label->reshape([-1]), { axis => 1 });
        $self->_count(-log($p->aspdl->double + $self->eps)->sum . '', $rows);
    }
    return;
}

package AI::MXNet::NegativeLogLikelihood;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::CrossEntropy';
has '+name' => (default => 'nll_loss');

package AI::MXNet::Perplexity;               ## no critic (ProhibitMultiplePackages)
use Mouse;
use AI::MXNet::Keshi;
extends 'AI::MXNet::EvalMetric';
has '+name' => (default => 'Perplexity');
has ignore_label => (is => 'ro', isa => 'Maybe[Num]');
has axis => (is => 'ro', isa => 'Int', default => -1);
sub python_constructor_arguments { return qw(ignore_label axis name) }

sub update
{
    my ($self, $labels, $preds) = @_;
    for my $pair ($self->_pairs($labels, $preds)) {
        my ($label, $pred) = @$pair;
        my @shape = @{ $pred->shape };
        my ($classes) = splice @shape, $self->axis, 1;
        if ($label->size * $classes != $pred->size) {
            my ($of_label, $of_pred) = map { join 'x', @{ $_->shape } } $label, $pred;
            AI::MXNet::Keshi::fail("Perplexity: shape mismatch: labels $of_label vs. predictions $of_pred");
        }
        my $p = AI::MXNet::NDArray->pick($pred, $label->reshape(\@shape), { axis => $self->axis });
        my $logs = log($p->aspdl->flat->double->lclip(1e-10));
        $logs = $logs->where($label->aspdl->flat != $self->ignore_label) if defined $self->ignore_label;
        $self->_count($logs->nelem ? -$logs->sum . '' : 0, $logs->nelem);
    }
    return;
}

sub _value
{
    my ($self, $sum, $count) = @_;
    return $count == 0 ? 'nan' : exp($sum / $count);
}

1;
