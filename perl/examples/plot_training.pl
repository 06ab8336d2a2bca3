#!/usr/bin/env perl
# Draws how training goes, with three rates of learning: perl plot_training.pl [picture]
# Needs gnuplot and PDL::Graphics::Gnuplot: tools/deps examples
use 5.014;
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);
use Example::MNIST qw(digits pictures);
use Example::Progress qw(bar finish_line);
use PDL;
use PDL::Graphics::Gnuplot;

my $file = shift // 'training.png';
my @rates = (0.3, 0.05, 0.005);
my $loss_of = gluon->loss->SoftmaxCrossEntropyLoss();
my $batches = digits(train => 1, batch_size => 100);
my $test = digits(train => 0, batch_size => 1000);
my ($checks, $check) = @{<$test>};

# The losses of all steps, and pairs of a step and the accuracy on a thousand digits that are not trained on.
sub train
{
    my $rate = shift;
    mx->random->seed(1);
    CORE::srand(1);    # PDL has one of its own
    my $net = nn->HybridSequential;
    $net->add(nn->Dense(128, activation => 'relu'), nn->Dense(10));
    $net->initialize(mx->init->Xavier);
    $net->hybridize;
    my $trainer = gluon->Trainer($net->collect_params, 'sgd', { learning_rate => $rate, momentum => 0.9 });
    my (@losses, @accuracy);

    while (defined(my $batch = <$batches>)) {
        my $loss;
        autograd->record(sub { $loss = $loss_of->($net->(pictures($batch->[0])), $batch->[1]->astype('float32')) });
        $loss->backward;
        $trainer->step(100);
        push @losses, $loss->mean->asscalar;
        next if @losses % 20;
        my $right = ($net->(pictures($checks))->argmax({ axis => 1 }) == $check->astype('float32'))->mean->asscalar;
        push @accuracy, [scalar @losses, 100 * $right];
        bar(scalar @losses, $batches->len, "rate $rate");
    }
    finish_line(
        sprintf 'rate %-5g  loss of the last hundred steps %.3f  accuracy %.1f %%',
        $rate, pdl(@losses[-100 .. -1])->avg,
        $accuracy[-1][1]
    );
    return (pdl(@losses), pdl(\@accuracy)->transpose);
}

my (@loss_curves, @accuracy_curves);
for my $rate (@rates) {
    my ($losses, $accuracy) = train($rate);
    my $smooth = $losses->conv1d(ones(25) / 25, { Boundary => 'reflect' });
    push @loss_curves, with => 'lines', legend => "rate $rate", linewidth => 2, sequence($smooth->nelem), $smooth;
    push @accuracy_curves, with => 'linespoints', legend => "rate $rate", linewidth => 2, $accuracy->dog;
}

my $window = gpwin('pngcairo', size => [1000, 420, 'px'], font => 'Sans,11', output => $file);
$window->multiplot(layout => [2, 1]);
$window->plot(
    {
        title => 'Accuracy on digits not seen, %',
        xlabel => 'step',
        yrange => [80, 100],
        grid => 1,
        key => 'bottom right'
    },
    @accuracy_curves
);
$window->plot(
    {
        title => 'Loss, mean of 25 steps',
        xlabel => 'step',
        yrange => [0.1, 3],
        logscale => 'y',
        grid => 1,
        key => 'top right'
    },
    @loss_curves
);
$window->end_multi;
$window->close;
print "The curves are in $file\n";
