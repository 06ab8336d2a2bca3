#!/usr/bin/env perl
# Handwritten digits with a multilayer perceptron: perl mnist_mlp.pl [epochs]
use 5.014;
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);
use Example::MNIST qw(digits train);

my $epochs = shift // 5;
mx->random->seed(1);
srand 1;

my $net = nn->HybridSequential;
$net->add(nn->Dense(256, activation => 'relu'), nn->Dense(128, activation => 'relu'), nn->Dense(10));
$net->initialize(mx->init->Xavier);
$net->hybridize;
print "$net\n";

my $trainer = gluon->Trainer($net->collect_params, 'sgd', { learning_rate => 0.1, momentum => 0.9 });
train(
    net => $net,
    trainer => $trainer,
    epochs => $epochs,
    train => digits(train => 1, batch_size => 100),
    test => digits(train => 0, batch_size => 500),
);
