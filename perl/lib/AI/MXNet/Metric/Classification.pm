package AI::MXNet::Metric::Classification;
use 5.014;
use strict;
use warnings;

# Metrics of predicted classes.

# The predicted class of each row, in the shape of the labels.
sub classes
{
    my ($label, $pred, $axis) = @_;
    my @shape = @{ $pred->shape };
    return $pred if "@shape" eq join ' ', @{ $label->shape };
    $axis = 1 if $axis >= @shape;
    return @shape == 1 ? $pred : $pred->argmax({ axis => $axis });
}

package AI::MXNet::Accuracy;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::EvalMetric';
has '+name' => (default => 'accuracy');
has axis => (is => 'ro', isa => 'Int', default => 1);
sub python_constructor_arguments { return qw(axis name) }

sub update
{
    my ($self, $labels, $preds) = @_;
    for my $pair ($self->_pairs($labels, $preds)) {
        my ($label, $pred) = @$pair;
        my $class = AI::MXNet::Metric::Classification::classes($label, $pred, $self->axis);
        AI::MXNet::EvalMetric::_same_size($label, $class);
        my $hits = $label->aspdl->flat->long == $class->aspdl->flat->long;
        $self->_count($hits->sum . '', $hits->nelem);
    }
    return;
}

package AI::MXNet::TopKAccuracy;    ## no critic (ProhibitMultiplePackages)
use Mouse;
use AI::MXNet::Keshi;
extends 'AI::MXNet::EvalMetric';
has '+name' => (default => 'top_k_accuracy');
has top_k => (is => 'rw', isa => 'Int', default => 1);
sub python_constructor_arguments { return qw(top_k name) }

sub BUILD
{
    my $self = shift;
    my $k = $self->top_k;
    AI::MXNet::Keshi::fail('Please use Accuracy if top_k is no more than 1') if $k <= 1;
    $self->name($self->name . "_$k") if $self->name !~ /_$k$/;
    return;
}

sub update
{
    my ($self, $labels, $preds) = @_;
    for my $pair ($self->_pairs($labels, $preds)) {
        my ($label, $pred) = @$pair;
        AI::MXNet::Keshi::fail('Predictions should be no more than 2 dims') if $pred->ndim > 2;
        if ($pred->ndim == 2) {
            my $k = $self->top_k;
            $k = $pred->shape->[1] if $k > $pred->shape->[1];
            $pred = $pred->topk({ k => $k, axis => 1 });
        } else {
            $pred = $pred->reshape([-1, 1]);
        }
        AI::MXNet::EvalMetric::_same_size($label, $pred->slice_axis({ axis => 1, begin => 0, end => 1 }));
        my $hits = $label->aspdl->flat->long->dummy(0) == $pred->aspdl->long;
        $self->_count($hits->sum . '', $label->size);
    }
    return;
}

# What F1 and MCC are made of: counts of true and false positives and negatives.

package AI::MXNet::Metric::Binary;    ## no critic (ProhibitMultiplePackages)
use Mouse;
use Mouse::Util::TypeConstraints;
use AI::MXNet::Keshi;
extends 'AI::MXNet::EvalMetric';
has average => (is => 'ro', isa => enum([qw(macro micro)]), default => 'macro');
has _counts => (is => 'rw', init_arg => undef);
sub python_constructor_arguments { return qw(name average) }

after reset => sub {
    $_[0]->_counts({ map { ($_ => 0) } qw(tp fp fn tn) });
};

sub update
{
    my ($self, $labels, $preds) = @_;
    for my $pair ($self->_pairs($labels, $preds)) {
        my ($label, $pred) = @$pair;
        my $class = AI::MXNet::Metric::Classification::classes($label, $pred, 1);
        AI::MXNet::EvalMetric::_same_size($label, $class);
        my ($is, $said) = map { $_->aspdl->flat->long } $label, $class;
        AI::MXNet::Keshi::fail(
            ref($self) =~ s/.*:://r . ': Currently only support binary classification, got labels up to ' . $is->max)
            if $is->max > 1
            or $is->uniq->nelem > 2;
        my %now = (tp => $said & $is, fp => $said & !$is, fn => !$said & $is, tn => !$said & !$is);
        $self->_counts->{$_} += ($now{$_} != 0)->sum . '' for keys %now;
    }
    my ($tp, $fp, $fn, $tn) = @{ $self->_counts }{qw(tp fp fn tn)};
    if ($self->average eq 'macro') {
        $self->_count($self->_score($tp, $fp, $fn, $tn), 1);
        $self->_counts->{$_} = 0 for qw(tp fp fn tn);
    } else {
        my $total = $tp + $fp + $fn + $tn;
        $self->sum_metric($self->_score($tp, $fp, $fn, $tn) * $total);
        $self->num_inst($total);
    }
    return;
}

package AI::MXNet::F1;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Metric::Binary';
has '+name' => (default => 'f1');

# The harmonic mean of precision and recall.
sub _score
{
    my ($self, $tp, $fp, $fn) = @_;
    return $tp ? 2 * $tp / (2 * $tp + $fp + $fn) : 0;
}

package AI::MXNet::MCC;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Metric::Binary';
has '+name' => (default => 'mcc');

# Matthews's correlation; sums that are 0 are left out of its divisor.
sub _score
{
    my ($self, $tp, $fp, $fn, $tn) = @_;
    my $product = 1;
    $product *= $_ for grep { $_ } $tp + $fp, $tp + $fn, $tn + $fp, $tn + $fn;
    return ($tp * $tn - $fp * $fn) / sqrt $product;
}

package AI::MXNet::Confidence;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::EvalMetric';
has '+name' => (default => 'confidence');
has num_classes => (is => 'ro', isa => 'Int', required => 1);
has confidence_thresholds => (is => 'ro', isa => 'ArrayRef[Num]', required => 1);
sub python_constructor_arguments { return qw(num_classes confidence_thresholds) }

# Lists for each class, with a number for each threshold.
after reset => sub {
    my $self = shift;
    my $zeros = sub {
        return [map { [(0) x @{ $self->confidence_thresholds }] } 1 .. $self->num_classes];
    };
    $self->sum_metric($zeros->());
    $self->num_inst($zeros->());
};

sub update
{
    my ($self, $labels, $preds) = @_;
    for my $pair ($self->_pairs($labels, $preds)) {
        my ($label, $pred) = @$pair;
        my @is = $label->aspdl->list;
        my @scores = $pred->aspdl->list;
        for my $row (0 .. $#is) {
            for my $class (0 .. $self->num_classes - 1) {
                my $score = $scores[$row * $self->num_classes + $class];
                for my $i (grep { $score > $self->confidence_thresholds->[$_] } 0 .. $#{ $self->confidence_thresholds })
                {
                    $self->num_inst->[$class][$i]++;
                    $self->sum_metric->[$class][$i]++ if $is[$row] == $class;
                }
            }
        }
    }
    return;
}

sub get
{
    my $self = shift;
    my (@names, @values);
    for my $class (0 .. $self->num_classes - 1) {
        for my $i (0 .. $#{ $self->confidence_thresholds }) {
            my ($hits, $all) = ($self->sum_metric->[$class][$i], $self->num_inst->[$class][$i]);
            push @names, sprintf 'P(v=%d|Conf>%s)=(%d/%d)', $class, $self->confidence_thresholds->[$i], $hits, $all;
            push @values, $self->_value($hits, $all);
        }
    }
    return (\@names, \@values);
}

1;
