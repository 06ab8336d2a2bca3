package AI::MXNet::Metric;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::EvalMetric;
use AI::MXNet::Metric::Classification;
use AI::MXNet::Metric::Regression;
use AI::MXNet::Metric::Others;
use JSON::PP ();
use Scalar::Util qw(blessed);

# Metrics by their names.

my %class = (
    (
        map { (lc $_ => $_) }
            qw(Accuracy CrossEntropy F1 MCC MAE MSE RMSE TopKAccuracy Perplexity PearsonCorrelation Loss
            CompositeEvalMetric Confidence)
    ),
    acc => 'Accuracy',
    ce => 'CrossEntropy',
    nll_loss => 'NegativeLogLikelihood',
    top_k_accuracy => 'TopKAccuracy',
    pearsonr => 'PearsonCorrelation',
);
for my $name (values %class, 'CustomMetric') {
    no strict 'refs';
    no warnings 'redefine';
    *$name = sub { shift; return "AI::MXNet::$name"->new(@_) };
}

sub create
{
    my ($class, $metric, @args) = @_;
    AI::MXNet::Keshi::fail('metric must be defined') if not defined $metric;
    return $metric if blessed $metric and $metric->isa('AI::MXNet::EvalMetric');
    return AI::MXNet::CustomMetric->new(eval_function => $metric, @args) if ref $metric eq 'CODE';
    if (ref $metric eq 'ARRAY') {
        my $composite = AI::MXNet::CompositeEvalMetric->new;
        $composite->add($class->create($_, @args)) for @$metric;
        return $composite;
    }
    if (ref $metric eq 'HASH' or $metric =~ /^\s*\{/) {
        my %config = %{ ref $metric ? $metric : JSON::PP->new->decode($metric) };
        $metric = delete $config{metric} // '';
        $config{metrics} = [map { $class->create($_) } @{ $config{metrics} }] if ref $config{metrics} eq 'ARRAY';
        @args = (%config, @args);

        # A configuration names the class, which for one of them is no name of the table.
        $metric = 'nll_loss' if $metric eq 'NegativeLogLikelihood';
    }
    my $found = $class{ lc $metric } // AI::MXNet::Keshi::fail(
        "Metric must be either subref or one of [@{[join ', ', sort keys %class]}], got $metric");
    return "AI::MXNet::$found"->new(@args);
}

1;

__END__

=head1 NAME

AI::MXNet::Metric - how good predictions are

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $metric = mx->metric->create('acc');
    $metric->update([nd->array([0, 1])], [nd->array([[0.9, 0.1], [0.8, 0.2]])]);
    my ($name, $value) = $metric->get;                         # accuracy 0.5

    my $both = mx->metric->create(['acc', sub { my ($label, $pred) = @_; abs($label - $pred->slice('(1)'))->max }]);
    my $top = mx->metric->TopKAccuracy(top_k => 3);

=head1 DESCRIPTION

C<create($what, ...)> takes a name in any case, a metric (which it returns), a sub, a list of these, or the JSON text of what a
metric's C<get_config> returned. All but the second are methods too, under the names of their classes. How a metric is used says
L<AI::MXNet::EvalMetric>; the arguments below may be given in order, or by name.

=over 4

=item Accuracy(axis => 1) (C<acc>), TopKAccuracy($top_k) (C<top_k_accuracy>)

Predictions are scores of classes along C<axis>, or classes.

=item F1($name, $average), MCC($name, $average)

Of two classes; C<average> is C<macro>, over the updates, or C<micro>, over all that was counted.

=item MAE, MSE, RMSE, PearsonCorrelation (C<pearsonr>)

The mean over the updates of what they are within one.

=item CrossEntropy($eps) (C<ce>), NegativeLogLikelihood($eps) (C<nll_loss>), Perplexity($ignore_label, $axis)

Of probabilities.

=item Loss

The mean of all outputs.

=item Confidence($num_classes, \@thresholds)

For each class and threshold: how often the class is right where its score is above the threshold.

=item CompositeEvalMetric(\@metrics)

Several at once; C<add($metric)> adds one.

=item AI::MXNet::CustomMetric->new($sub, allow_extra_outputs => 0)

The sub is called with PDLs of a label and a prediction and returns a number, or C<[$sum, $count]>.

=back

=cut
