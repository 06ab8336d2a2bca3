#!/usr/bin/env perl
# Handwritten digits with a convolutional network: perl mnist_lenet.pl [epochs [file for the parameters]]
use 5.014;
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);
use Example::MNIST qw(digits lenet train);

my ($epochs, $file) = @ARGV;
mx->random->seed(1);
srand 1;

my $net = lenet();
$net->initialize(mx->init->Xavier);
print "$net\n";

my $trainer = gluon->Trainer($net->collect_params, 'sgd', { learning_rate => 0.05, momentum => 0.9 });
my $accuracy = train(
    net => $net,
    trainer => $trainer,
    epochs => $epochs // 5,
    train => digits(train => 1, batch_size => 100),
    test => digits(train => 0, batch_size => 500),
);

if (defined $file) {
    $net->save_parameters($file);
    printf "Parameters that get %.2f %% right are in %s\n", 100 * $accuracy, $file;
}
