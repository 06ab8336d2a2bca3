#!/usr/bin/env perl
# A linear model of measurements in a PDL, beside the exact solution: perl linear_regression.pl
use 5.014;
use strict;
use warnings;
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);
use PDL;

mx->random->seed(1);
PDL::srand(1);
CORE::srand(1);    # what shuffles; PDL has its own

# 200 measurements of two quantities, as rows; the third is what follows from them, with noise.
my $x = grandom(2, 200);
my $y = 3 * $x->slice('(0)') - 2 * $x->slice('(1)') + 0.5 + 0.1 * grandom(200);

my $net = nn->Dense(1, in_units => 2);
$net->initialize(mx->init->Normal(0.01));
my $trainer = gluon->Trainer($net->collect_params, 'sgd', { learning_rate => 0.1 });
my $loss_of = gluon->loss->L2Loss();

# A PDL goes in as it is: its first dimension runs fastest, in both.
my $data = gluon->data->ArrayDataset(nd->array($x), nd->array($y));
my $batches = gluon->data->DataLoader($data, batch_size => 20, shuffle => 1);
for my $epoch (1 .. 10) {
    my $sum = 0;
    while (defined(my $batch = <$batches>)) {
        my ($rows, $wanted) = @$batch;
        my $loss;
        autograd->record(sub { $loss = $loss_of->($net->($rows), $wanted) });
        $loss->backward;
        $trainer->step($rows->len);
        $sum += $loss->sum->asscalar;
    }
    printf "epoch %2d  loss %.5f\n", $epoch, $sum / $data->len;
}

# And a PDL comes out.
my ($w, $b) = ($net->weight->data->aspdl, $net->bias->data->aspdl);
printf "y = %.3f a %+.3f b %+.3f    (made as 3 a -2 b +0.5)\n", $w->list, $b->sclr;

# The same by the normal equations, for comparison.
my $design = append($x, ones(1, 200));
my $solved = inv($design->transpose x $design) x $design->transpose x $y->dummy(0);
printf "y = %.3f a %+.3f b %+.3f    (normal equations)\n", $solved->list;
